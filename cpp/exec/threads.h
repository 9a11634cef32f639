// One parallel region over a fixed number of shares. The only file that knows the thread library.
#pragma once

#include <cstdint>

namespace chainrule {

// This thread's part of the work: share `index` of `count`.
struct Share {
  int index, count;
};

// Splits [0, n) into `count` runs of multiples of `grain`, fixed by the numbers alone.
struct Range {
  int64_t begin, end;
};
Range share_range(int64_t n, int64_t grain, Share share);

// Threads to use where work is plenty: set_num_threads, else OMP_NUM_THREADS or threadpoolctl (asked at call time),
// else the CPUs this process may use. 1 inside another parallel region and in a forked child: its thread team did not
// survive the fork and waiting for it would hang.
int num_threads();
void set_num_threads(int n);  // n >= 1

// Threads, `most` at most, for `work` nanoseconds of one thread's time.
int threads_for(double work, int most);
double min_parallel_work();
void set_min_parallel_work(double nanoseconds);

// Calls body(context, share) for every share on its own thread, in the default floating-point mode. body must not
// throw. The runtime may give fewer threads: then share.count is what it gave.
using TeamBody = void (*)(void* context, Share share);
void run_team(int threads, TeamBody body, void* context);

// All threads of the running team meet here.
void team_barrier(Share share);

const char* openmp_runtime();

}  // namespace chainrule
