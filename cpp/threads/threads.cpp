#include "threads/threads.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "threads/cpu_quota.h"
#include "threads/thread_pool.h"

namespace chainrule {
namespace {

std::atomic<int> g_threads{0};  // 0: not set by the user
// Two threads that are awake take 6.1 us for 10 us of work, 11.1 us for 20; halves of less than that cost more in data
// that goes from one core's cache to the other's.
std::atomic<double> g_min_work{12000.0};
std::atomic<bool> g_forked{false};

// Of the control groups; a number of threads in the environment goes before it. 0: no quota.
int quota_cpus() {
  static const int cpus = std::getenv("OMP_NUM_THREADS") == nullptr ? cpu_quota("") : 0;
  return cpus;
}

#if defined(_OPENMP)
// What the runtime has for this thread, and what it has where nobody lowers that: threadpoolctl does, at any time.
struct Offer {
  int now, usual;
};
Offer offered() {
  static const int usual = std::getenv("OMP_NUM_THREADS") == nullptr ? omp_get_num_procs() : omp_get_max_threads();
  return {omp_get_max_threads(), usual};
}
#else
int affinity_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
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
  if (g_forked.load(std::memory_order_relaxed) || in_pool()) return 1;
  const int set = g_threads.load(std::memory_order_relaxed), quota = quota_cpus();
#if defined(_OPENMP)
  if (omp_in_parallel()) return 1;
  const auto [now, usual] = offered();
  const int limit = omp_get_thread_limit();
  if (set > 0) return std::min(now < usual ? std::min(set, now) : set, limit);
  return std::min(quota > 0 ? std::min(now, quota) : now, limit);
#else
  static const int cpus = affinity_cpus();
  return set > 0 ? set : quota > 0 ? std::min(cpus, quota) : cpus;
#endif
}

void set_num_threads(int n) {
  g_threads.store(n);
  limit_pool(n);
}

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
