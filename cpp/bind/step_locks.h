// The locks of the memory that programs and optimizers write: known by address, because a training step and a
// prediction of one model share nothing but its arrays.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "threads/step_lock.h"

namespace chainrule {

// How many threads of ours work without the GIL, and how many Regions are held. Changed with the GIL or by a thread
// that is counted: while it is 0 and a thread holds the GIL, no other one can touch the memory of a program, and a
// short run needs no lock. Taking and giving back a lock takes a prediction of one row, of 350 ns, 15 ns.
inline std::atomic<int> g_away{0};

class StepLocks {
 public:
  StepLocks() = default;
  // For the memory that begins at these addresses: to write all of it, or to read it. Addresses without a lock get one
  // in common.
  StepLocks(const std::vector<const void*>& addresses, bool writes);

  // All of them, in an order that all threads keep; nothing inside of a Region of the thread, which could not keep it.
  bool try_acquire() const;
  void acquire() const;  // the GIL must not be held; may throw Stopped
  void release() const;
  // Where readers wait for a lock held for writing: gives all back, so that they have their turn, and takes them again.
  void give_turn() const;

  // For Python code between acquire and release. The outermost Region of a thread has the locks.
  class Region;

 private:
  friend struct Registry;
  bool try_one(StepLock& lock) const { return writes_ ? lock.try_write() : lock.try_read(); }
  void release_first(size_t n) const;

  std::vector<std::shared_ptr<StepLock>> locks_;  // in the order of their addresses
  bool writes_ = false;
};

class StepLocks::Region {
 public:
  explicit Region(StepLocks locks) : locks_(std::move(locks)) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() { leave(); }

  bool try_enter();
  void enter();
  void leave();

 private:
  void begin();
  friend struct Registry;
  StepLocks locks_;
};

// Holds locks for a scope.
class HeldSteps {
 public:
  explicit HeldSteps(const StepLocks& locks) : locks_(locks) { locks.acquire(); }
  struct Acquired {};
  HeldSteps(const StepLocks& locks, Acquired) : locks_(locks) {}
  ~HeldSteps() { locks_.release(); }
  HeldSteps(const HeldSteps&) = delete;
  HeldSteps& operator=(const HeldSteps&) = delete;

 private:
  const StepLocks& locks_;
};

}  // namespace chainrule
