// The process's thread pool. Its threads are its own: OpenMP's runtime ends the process when a thread cannot be
// created, and keeps threads that are not wanted any more.
//
// Work comes in phases, a phase in shares. Each share is run once, by whichever worker claims it first; a phase begins
// when the one before is complete. Workers prefer the share of their own number, whose data is in their cache, and
// claim another's when its worker is late: no thread ever waits for another one to arrive, only for a share that is
// already running. That is what an OpenMP region cannot do: with another process on one of two CPUs its barriers made
// steps of 1.8 ms take 10 to 90 ms.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "threads/threads.h"

namespace chainrule {

struct PoolWork {
  void (*run)(void* context, int phase, Share share);
  void* context;
  const int* shares;  // of each phase: 1 to the pool's threads
  int phases;
  bool wake_sleeping = true;  // wake sleeping workers; else the work is done by those that are awake
};

// A caller's lease of the pool.
class ThreadPool {
 public:
  // `threads` workers, the calling thread among them; started when they are needed for the first time. One caller has
  // the pool: for a second one threads() is 1. Where some threads cannot be started, it is as many as there are.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Returns when all phases are complete. Every share runs in the default floating-point mode. An exception thrown by
  // one is rethrown here when the others are done.
  void run(const PoolWork& work);

 private:
  friend struct PoolState;
  void run_share(int phase, Share share);

  int threads_ = 1;
  const PoolWork* work_ = nullptr;
  uint64_t first_ = 0;  // ticket of the first phase
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

// Calls body(context, share) for `threads` shares, each on its own thread as far as there are any.
using PoolBody = void (*)(void* context, Share share);
void run_on_pool(int threads, PoolBody body, void* context);

// Whether this thread is running a share: what that calls has one thread.
bool in_pool();

// Workers above this count end, those that run a share after it.
void limit_pool(int threads);

}  // namespace chainrule
