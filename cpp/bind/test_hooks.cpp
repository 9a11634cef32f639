// Hooks for tests of those parts of the executor that no program exposes.
#include <chrono>
#include <stdexcept>
#include <thread>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "threads/cpu_quota.h"
#include "threads/pool_choice.h"
#include "threads/thread_pool.h"

namespace chainrule {
namespace {

struct Meeting {
  std::atomic<int> here{0};
  std::atomic<bool> late{false};
  std::chrono::steady_clock::time_point end;
};

// Whether all shares of one phase run at the same time: each waits for the others.
bool pool_meets(int threads, double seconds) {
  Meeting meeting;
  meeting.end = std::chrono::steady_clock::now() +
                std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
  int shares = 0;
  {
    const ReleasedGil released;
    ThreadPool pool(threads);
    shares = pool.threads();
    const auto body = [](void* context, int, Share share) {
      Meeting& m = *static_cast<Meeting*>(context);
      ++m.here;
      while (m.here < share.count && !m.late) {
        std::this_thread::yield();
        if (std::chrono::steady_clock::now() > m.end) m.late = true;
      }
    };
    pool.run({body, &meeting, &shares, 1});
  }
  return shares == threads && !meeting.late;
}

struct Thrower {
  int phase, share;
  std::atomic<int> done{0};
};

// Throws out of one share; returns how many others were run, as they all are.
int pool_throws(int threads, int phases, int phase, int share) {
  Thrower thrower = {phase, share};
  try {
    const ReleasedGil released;
    ThreadPool pool(threads);
    const std::vector<int> shares(static_cast<size_t>(phases), pool.threads());
    const auto body = [](void* context, int p, Share share) {
      Thrower& t = *static_cast<Thrower*>(context);
      if (p == t.phase && share.index == t.share) throw std::runtime_error("thrown by a share");
      ++t.done;
    };
    pool.run({body, &thrower, shares.data(), phases});
  } catch (const std::runtime_error& error) {
    if (thrower.done != threads * phases - 1) throw std::logic_error("shares were left out");
    throw;
  }
  return thrower.done;
}

}  // namespace

void bind_test_hooks(py::module_& m) {
  m.def("pool_meets", pool_meets, py::arg("threads"), py::arg("seconds"),
        "Whether so many threads come together within this time.");
  m.def("pool_throws", pool_throws, py::arg("threads"), py::arg("phases"), py::arg("phase"), py::arg("share"),
        "Throws out of a share of a phase; RuntimeError.");
  m.def("cpu_quota", cpu_quota, py::arg("root"), "The CPU quota of the control groups under this folder, 0 for none.");
  py::class_<PoolChoice>(m, "PoolChoice")
      .def(py::init<>())
      .def("use_pool", &PoolChoice::use_pool, "Whether the next run uses the thread pool.")
      .def("took", &PoolChoice::took, py::arg("use_pool"), py::arg("nanoseconds"),
           "A run on the thread pool or on one thread.");
}

}  // namespace chainrule
