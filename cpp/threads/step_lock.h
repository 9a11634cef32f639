// A lock of memory that training steps write and predictions read: a prediction sees it as it is between two steps.
// Without contention, taking and giving it back are one atomic operation each.
#pragma once

#include <atomic>

#include "threads/stop.h"

namespace chainrule {

class StepLock {
 public:
  // Whether it was free. A waiting writer goes before new readers.
  bool try_read();
  bool try_write();
  // Wait until it is, spinning first. Throw Stopped where the calling thread is to stop.
  void read();
  void write();
  void end_read() { word_.fetch_sub(kReader, std::memory_order_release); }
  void end_write() { word_.fetch_and(~kWriter, std::memory_order_release); }

  // For a writer: whether readers wait. It gives the lock back then, waits until one has got it, and takes it again.
  bool readers_wait() const { return waiting_.load(std::memory_order_relaxed) > 0; }
  void await_reader() const;

  // In a forked child, whose other threads are gone.
  void reset();

 private:
  // A writer has it; a writer waits for it; the number of readers that have it.
  static constexpr int kWriter = 1, kPending = 2, kReader = 4;
  std::atomic<int> word_{0};
  std::atomic<int> waiting_{0};  // readers
};

}  // namespace chainrule
