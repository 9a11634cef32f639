#include <pybind11/stl.h>

#include <chrono>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "isa.h"
#include "program/integers.h"
#include "program/program.h"
#include "threads/fp_mode.h"

namespace chainrule {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

// GFLOP/s of one core, multiply-adds in registers, active level.
double fma_peak(double seconds) {
  const DefaultFpMode mode;
  const KernelTable& kernels = active_kernels();
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto since = [](auto start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  double best = 0;
  const auto begin = now();
  do {
    float sink[2] = {0.999f, 0.001f};
    const auto start = now();
    const double flops = kernels.peak(100000, sink);
    best = std::max(best, flops / since(start) * 1e-9);
  } while (since(begin) < seconds);
  return best;
}

}  // namespace

void bind_config(py::module_& m) {
  m.def("built_isas", built_levels, "ISA levels compiled in, best first.");
  m.def("available_isas", available_levels, "ISA levels this CPU can run, best first.");
  m.def("active_isa", [] { return active_kernels().isa; }, "The ISA level in use.");
  m.def("use_isa", use_level, py::arg("name"),
        "Makes an available ISA level active; ValueError lists the available ones.");
  m.def("get_num_threads", num_threads, "Threads used for large work.");
  m.def(
      "set_num_threads",
      [](int n) {
        if (n < 1) throw py::value_error("set_num_threads: expected n >= 1, got " + std::to_string(n));
        set_num_threads(n);
      },
      py::arg("n"), "Sets the number of threads.");
  m.def("min_parallel_work", min_parallel_work, "Estimated nanoseconds of work from which a second thread is used.");
  m.def("set_min_parallel_work", set_min_parallel_work, py::arg("nanoseconds"),
        "Estimated work from which a second thread is used; 0 forces threads on the smallest shapes (for tests).");
  m.def("compiler", [] { return kCompiler; }, "Compiler and version this module was built with.");
  m.def("openmp_runtime", openmp_runtime, "Name of the OpenMP runtime, or 'none'.");
  m.def(
      "elementwise_names",
      [] {
        std::vector<std::string> names;
        const KernelTable& table = active_kernels();
        for (int64_t i = 0; i < table.n_maps; ++i) names.push_back(table.maps[i].name);
        return names;
      },
      "Names of the elementwise kernels of floats.");
  m.def(
      "integer_names",
      [] {
        std::vector<std::string> names;
        for (const MapRow& row : integer_maps()) names.push_back(row.name);
        return names;
      },
      "Names of the elementwise kernels of int64 and bool.");
  m.def(
      "kernel_dtypes",
      [](const std::string& name) {
        std::vector<int> codes;
        for (const Dtype dtype : {kFloat32, kFloat64, kInt64, kBool}) {
          const MapRow* const map = find_map(active_kernels(), name, dtype);
          const ReduceRow* const reduction = find_reduction(active_kernels(), name, dtype);
          if ((map != nullptr && map->fn[in_row(dtype)] != nullptr) ||
              (reduction != nullptr && reduction->rows[in_row(dtype)] != nullptr))
            codes.push_back(dtype);
        }
        return codes;
      },
      py::arg("name"), "Codes of the dtypes for which an elementwise kernel or a reduction is defined.");
  m.def(
      "update_names",
      [] {
        std::vector<std::string> names;
        const KernelTable& table = active_kernels();
        for (int64_t i = 0; i < table.n_updates; ++i) names.push_back(table.updates[i].name);
        return names;
      },
      "Names of the optimizers' updates.");
  m.def(
      "update_options",
      [](const std::string& name) -> std::string {
        const KernelTable& table = active_kernels();
        for (int64_t i = 0; i < table.n_updates; ++i) {
          if (name == table.updates[i].name) return table.updates[i].hyperparameter_names;
        }
        throw py::value_error("update_options: no update is called " + name);
      },
      py::arg("name"), "Names of an update's options in the order of their numbers, separated by commas.");
  m.def("fma_peak", fma_peak, py::arg("seconds") = 0.2, py::call_guard<ReleasedGil>(),
        "Best GFLOP/s of one core on register-only float32 multiply-adds, active ISA level.");
}

}  // namespace chainrule
