#include "threads/step_lock.h"

#include <chrono>
#include <thread>

namespace chainrule {
namespace {

// Waits longer each time: steps take from a microsecond to seconds.
class Patience {
 public:
  void wait() {
    if (++waits_ < 64) return;
    if (waits_ < 128) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(waits_ < 512 ? 50 : 500));
    }
  }

 private:
  int waits_ = 0;
};

}  // namespace

bool StepLock::try_read() {
  int word = word_.load(std::memory_order_relaxed);
  return (word & (kWriter | kPending)) == 0 &&
         word_.compare_exchange_strong(word, word + kReader, std::memory_order_acquire);
}

bool StepLock::try_write() {
  int word = 0;
  return word_.compare_exchange_strong(word, kWriter, std::memory_order_acquire);
}

void StepLock::read() {
  if (try_read()) return;
  const std::atomic<bool>* const stop = stop_flag();
  waiting_.fetch_add(1);
  for (Patience patience; !try_read(); patience.wait()) {
    if (!stop_requested(stop)) continue;
    waiting_.fetch_sub(1);
    throw Stopped();
  }
  waiting_.fetch_sub(1);
}

void StepLock::write() {
  const std::atomic<bool>* const stop = stop_flag();
  for (Patience patience;; patience.wait()) {
    int word = word_.load(std::memory_order_relaxed);
    if ((word & ~kPending) == 0) {
      if (word_.compare_exchange_strong(word, kWriter, std::memory_order_acquire)) return;
    } else if ((word & kPending) == 0) {
      word_.fetch_or(kPending, std::memory_order_relaxed);
    }
    if (!stop_requested(stop)) continue;
    word_.fetch_and(~kPending, std::memory_order_relaxed);  // another writer that waits says so again
    throw Stopped();
  }
}

void StepLock::await_reader() const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);  // a reader may be asleep
  const int waiting = waiting_.load(std::memory_order_relaxed);
  while (readers_wait() && waiting_.load(std::memory_order_relaxed) >= waiting &&
         std::chrono::steady_clock::now() < end) {
  }
}

void StepLock::reset() {
  word_.store(0);
  waiting_.store(0);
}

}  // namespace chainrule
