#include "threads/threads.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "threads/thread_pool.h"

namespace chainrule {
namespace {

std::atomic<int> g_threads{0};  // 0: not set by the user
// Two threads that are awake take 6.1 us for 10 us of work, 11.1 us for 20; halves of less than that cost more in data
// that goes from one core's cache to the other's.
std::atomic<double> g_min_work{12000.0};
std::atomic<bool> g_forked{false};

#if defined(_OPENMP)
// cgroup v2 CPU quota in whole CPUs, or 0.
int cgroup_cpus() {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r");
  if (file == nullptr) return 0;
  long long quota = 0, period = 0;
  const int fields = std::fscanf(file, "%lld %lld", &quota, &period);
  std::fclose(file);
  if (fields != 2 || quota <= 0 || period <= 0) return 0;  // "max 100000": no quota
  return static_cast<int>(std::max(1LL, (quota + period - 1) / period));
}

int quota_cpus() {
  static const int cpus = std::getenv("OMP_NUM_THREADS") == nullptr ? cgroup_cpus() : 0;
  return cpus;
}
#endif

[[maybe_unused]] const int g_fork_handler = [] {
#if defined(__unix__) || defined(__APPLE__)
  return pthread_atfork(nullptr, nullptr, [] { g_forked.store(true); });
#else
  return 0;
#endif
}();

}  // namespace

int num_threads() {
#if defined(_OPENMP)
  if (g_forked.load(std::memory_order_relaxed) || in_pool() || omp_in_parallel()) return 1;
  const int set = g_threads.load(std::memory_order_relaxed);
  if (set > 0) return set;
  const int runtime = omp_get_max_threads(), quota = quota_cpus();
  return quota > 0 ? std::min(runtime, quota) : runtime;
#else
  return 1;
#endif
}

void set_num_threads(int n) { g_threads.store(n); }

int ThreadRule::operator()(double work) const {
  if (work < least) return 1;
  if (least <= 0) return most;
  return static_cast<int>(std::clamp(2.0 * work / least, 1.0, static_cast<double>(most)));
}

ThreadRule thread_rule(double most_work) {
  const double least = g_min_work.load(std::memory_order_relaxed);
  if (most_work < least) return {1, least};  // without asking OpenMP, which takes as long as a small program's kernel
  return {ThreadRule{num_threads(), least}(most_work), least};
}

double min_parallel_work() { return g_min_work.load(); }

void set_min_parallel_work(double nanoseconds) { g_min_work.store(nanoseconds); }

const char* openmp_runtime() {
#if defined(_OPENMP) && defined(__clang__)
  return "libomp";
#elif defined(_OPENMP)
  return "libgomp";
#else
  return "none";
#endif
}

}  // namespace chainrule
