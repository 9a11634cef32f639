// Whether a program that runs again and again is faster on the thread pool or on one thread: decided by how long its
// runs took, because what a second thread brings depends on who else uses the machine. It decides about time only: the
// bits are the same.
//
// The pool is used as long as it does not lose: a bounded credit takes up what its runs gain and pays for runs that
// were slower than one thread. When the credit is spent, one thread works until the loss is a few per cent of the time
// since then (and at least twice as long as the time before, while trials fail, up to a second); then the pool is tried
// again. Times go in from outside, so that tests feed them.
#pragma once

#include <atomic>

namespace chainrule {

class PoolChoice {
 public:
  // For the next run.
  bool use_pool() const;
  // A run took so many nanoseconds. Several threads may report at once: a lost number does no harm.
  void took(bool on_pool, double nanoseconds);

 private:
  void pool_took(double nanoseconds);
  void alone_took(double nanoseconds);

  template <class T>
  class Number {  // relaxed: numbers do not guard anything
   public:
    explicit Number(T value) : value_(value) {}
    operator T() const { return value_.load(std::memory_order_relaxed); }
    void operator=(T value) { value_.store(value, std::memory_order_relaxed); }

   private:
    std::atomic<T> value_;
  };

  Number<bool> on_pool_{true};
  Number<double> alone_{0};     // nanoseconds of a run on one thread; 0: not known
  Number<double> credit_{0};    // nanoseconds gained by the pool
  Number<double> patience_{0};  // nanoseconds for which one thread works before the next trial
  Number<double> waited_{0};    // of them so far
  Number<bool> proven_{false};  // the pool has gained since the last trial began
  Number<int> runs_{0};         // on the pool since the last run on one thread
  Number<int> next_alone_{2};   // so many runs on the pool, then one on one thread, to know its time
};

}  // namespace chainrule
