#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace chainrule {

// CR_LEVELS is CMakeLists.txt's list as X(avx512) X(avx2) X(scalar), best first.
#define X(level)                     \
  namespace level {                  \
  const KernelTable& kernel_table(); \
  }
CR_LEVELS
#undef X

namespace {

#if defined(__x86_64__)
// __builtin_cpu_supports also asks the operating system (XGETBV) whether the registers are saved. Every feature that
// the level's compiler flags allow is tested: a CPU with AVX-512F alone must not run DQ code (numpy#27745).
[[maybe_unused]] bool cpu_has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
         __builtin_cpu_supports("fma");
}
[[maybe_unused]] bool cpu_has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
[[maybe_unused]] bool cpu_has_neon() { return true; }  // part of the AArch64 baseline
bool cpu_has_scalar() { return true; }

struct Level {
  const char* name;
  bool (*supported)();
  const KernelTable& (*table)();
};
#define X(level) {#level, cpu_has_##level, level::kernel_table},
const Level kLevels[] = {CR_LEVELS};
#undef X

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const Level& find_level(const std::string& name) {
  for (const Level& level : kLevels) {
    if (name == level.name && level.supported()) return level;
  }
  throw std::invalid_argument("isa: '" + name + "' is not available; available: " + joined(available_levels()) +
                              " (built: " + joined(built_levels()) + ")");
}

const KernelTable* initial_table() {
  const char* forced = std::getenv("CHAINRULE_ISA");
  if (forced != nullptr && *forced != '\0') return &find_level(forced).table();
  return &find_level(available_levels().front()).table();
}

std::atomic<const KernelTable*>& active() {
  static std::atomic<const KernelTable*> table{initial_table()};
  return table;
}

}  // namespace

std::vector<std::string> built_levels() {
  std::vector<std::string> names;
  for (const Level& level : kLevels) names.push_back(level.name);
  return names;
}

std::vector<std::string> available_levels() {
  std::vector<std::string> names;
  for (const Level& level : kLevels) {
    if (level.supported()) names.push_back(level.name);
  }
  return names;
}

const KernelTable& active_kernels() { return *active().load(std::memory_order_relaxed); }

void use_level(const std::string& name) { active().store(&find_level(name).table()); }

}  // namespace chainrule
