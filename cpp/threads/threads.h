// How work is split, and how many threads it gets. threads/thread_pool.h has the threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace chainrule {

// A part of the work: share `index` of `count`.
struct Share {
  int index, count;
};

// Splits [0, n) into `count` runs of multiples of `grain`, fixed by the numbers alone.
struct Range {
  int64_t begin, end;
};
inline Range share_range(int64_t n, int64_t grain, Share share) {
  if (share.count == 1) return {0, n};  // the divisions take longer than some instructions
  const int64_t units = (n + grain - 1) / grain;
  const int64_t begin = units * share.index / share.count, end = units * (share.index + 1) / share.count;
  return {std::min(n, begin * grain), std::min(n, end * grain)};
}

// Threads to use where work is plenty: set_num_threads, else OMP_NUM_THREADS, else the CPUs this process may use (by
// affinity and by the quota of its control groups). At most what threadpoolctl has set meanwhile, asked at call time,
// and OMP_THREAD_LIMIT. 1 inside another parallel region or in a worker of the pool, and in a forked child: its threads
// did not survive the fork and waiting for them would hang.
int num_threads();
void set_num_threads(int n);  // n >= 1; threads above n end

double min_parallel_work();
void set_min_parallel_work(double nanoseconds);

// How many threads a run has, and how many of them a part of it gets. Read once for the whole run: settings may change
// meanwhile, and its threads must agree.
struct ThreadRule {
  int most;
  double least;  // nanoseconds of one thread's time from which a second one is used
  int operator()(double work) const;
};
ThreadRule thread_rule(double most_work);  // nanoseconds of the run's largest part

const char* openmp_runtime();

}  // namespace chainrule
