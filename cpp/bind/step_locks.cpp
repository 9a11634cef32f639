#include "bind/step_locks.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace chainrule {
namespace {

constinit thread_local StepLocks::Region* t_region = nullptr;  // the innermost of this thread

}  // namespace

// Never destroyed: threads may outlive main().
struct Registry {
  std::mutex mutex;
  std::unordered_map<const void*, std::weak_ptr<StepLock>> locks;
  size_t kept = 0;  // when unused locks were last removed

  Registry() {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork([] { get().mutex.lock(); }, [] { get().mutex.unlock(); }, [] { get().after_fork(); });
#endif
  }
  static Registry& get() {
    static Registry* const registry = new Registry;
    return *registry;
  }

  // In the child: other threads are gone, and what they held is free. What this one holds it still does.
  void after_fork() {
    for (const auto& [address, weak] : locks) {
      if (const auto lock = weak.lock()) lock->reset();
    }
    for (const StepLocks::Region* region = t_region; region != nullptr; region = region->outer_) {
      for (StepLock* const lock : region->own_) region->locks_.try_one(*lock);
    }
    mutex.unlock();
  }

  std::vector<std::shared_ptr<StepLock>> of(const std::vector<const void*>& addresses) {
    const std::lock_guard guard(mutex);
    std::vector<std::shared_ptr<StepLock>> result;
    std::shared_ptr<StepLock> common;
    for (const void* const address : addresses) {
      std::weak_ptr<StepLock>& entry = locks[address];
      std::shared_ptr<StepLock> lock = entry.lock();
      if (lock == nullptr) {
        if (common == nullptr) common = std::make_shared<StepLock>();
        entry = lock = common;
      }
      result.push_back(std::move(lock));
    }
    if (locks.size() > 2 * kept + 1024) {
      std::erase_if(locks, [](const auto& item) { return item.second.expired(); });
      kept = locks.size();
    }
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
  }
};

StepLocks::StepLocks(const std::vector<const void*>& addresses, bool writes)
    : locks_(addresses.empty() ? std::vector<std::shared_ptr<StepLock>>() : Registry::get().of(addresses)),
      writes_(writes) {}

bool StepLocks::passed_over(const StepLock& lock) const {
  for (const Region* region = t_region; region != nullptr; region = region->outer_) {
    if (std::find(region->own_.begin(), region->own_.end(), &lock) != region->own_.end()) return true;
  }
  return false;
}

bool StepLocks::try_one(StepLock& lock) const {
  return writes_ ? lock.try_write() : lock.try_read(t_region != nullptr);
}

void StepLocks::release_first(size_t n) const {
  for (size_t i = n; i-- > 0;) {
    StepLock& lock = *locks_[i];
    if (passed_over(lock)) continue;
    writes_ ? lock.end_write() : lock.end_read();
  }
}

bool StepLocks::try_acquire() const {
  for (size_t i = 0; i < locks_.size(); ++i) {
    if (passed_over(*locks_[i]) || try_one(*locks_[i])) continue;
    release_first(i);
    return false;
  }
  return true;
}

void StepLocks::acquire() const {
  size_t i = 0;
  try {
    for (; i < locks_.size(); ++i) {
      StepLock& lock = *locks_[i];
      if (passed_over(lock)) continue;
      writes_ ? lock.write() : lock.read(t_region != nullptr);
    }
  } catch (...) {
    release_first(i);
    throw;
  }
}

void StepLocks::release() const { release_first(locks_.size()); }

void StepLocks::give_turn() const {
  for (const auto& lock : locks_) {
    if (writes_ && lock->readers_wait() && !passed_over(*lock)) lock->give_turn();
  }
}

void StepLocks::Region::push() {
  for (const auto& lock : locks_.locks_) {
    if (!locks_.passed_over(*lock)) own_.push_back(lock.get());
  }
  active_ = true;
  outer_ = t_region;
  t_region = this;
}

bool StepLocks::Region::try_enter() {
  own_.reserve(locks_.locks_.size());  // what fails does so before anything is locked
  if (!locks_.try_acquire()) return false;
  push();
  return true;
}

void StepLocks::Region::enter() {
  own_.reserve(locks_.locks_.size());
  locks_.acquire();
  push();
}

void StepLocks::Region::leave() {
  if (!active_) return;
  active_ = false;
  for (StepLock* const lock : own_) locks_.writes_ ? lock->end_write() : lock->end_read();
  own_.clear();
  for (Region** at = &t_region; *at != nullptr; at = &(*at)->outer_) {
    if (*at != this) continue;
    *at = outer_;
    break;
  }
}

}  // namespace chainrule
