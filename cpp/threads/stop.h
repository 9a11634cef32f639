// Stopping a long run before its end: its parts look at a flag that the thread which called it has set.
#pragma once

#include <atomic>

#include "threads/of_thread.h"

namespace chainrule {

// Thrown by a run that stopped: what it was to write is incomplete.
struct Stopped {};

CHAINRULE_FAST_TLS inline constinit thread_local const std::atomic<bool>* t_stop_flag = nullptr;

// The flag for the work of this thread, or null: nothing stops it.
inline const std::atomic<bool>* stop_flag() { return t_stop_flag; }
inline bool stop_requested(const std::atomic<bool>* flag) {
  return flag != nullptr && flag->load(std::memory_order_relaxed);
}

// Sets it for a scope.
class StopScope {
 public:
  explicit StopScope(const std::atomic<bool>* flag) : before_(t_stop_flag) { t_stop_flag = flag; }
  ~StopScope() { t_stop_flag = before_; }
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

 private:
  const std::atomic<bool>* before_;
};

// A thread's work that can be stopped is done in parts of about so many nanoseconds.
constexpr double kPartWork = 5e6;

// While it exists, SIGINT sets a flag, after doing what it did before. One at a time, in the process's first thread, in
// which Python handles signals; in others, and where it is not wanted, there is no flag.
class InterruptFlag {
 public:
  explicit InterruptFlag(bool wanted = true);
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  // Null also where SIGINT has no handler: it ends the process or does nothing.
  const std::atomic<bool>* flag() const;

 private:
  bool installed_ = false;
};

}  // namespace chainrule
