#include "bind/step_locks.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace chainrule {
namespace {

CHAINRULE_FAST_TLS constinit thread_local StepLocks::Region* t_region = nullptr;  // the outermost of this thread

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
    g_away = t_region != nullptr ? 1 : 0;
    if (t_region != nullptr) {
      for (const auto& lock : t_region->locks_.locks_) t_region->locks_.try_one(*lock);
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

void StepLocks::release_first(size_t n) const {
  for (size_t i = n; i-- > 0;) writes_ ? locks_[i]->end_write() : locks_[i]->end_read();
}

bool StepLocks::try_acquire() const {
  if (t_region != nullptr) return true;
  for (size_t i = 0; i < locks_.size(); ++i) {
    if (try_one(*locks_[i])) continue;
    release_first(i);
    return false;
  }
  return true;
}

void StepLocks::acquire() const {
  if (t_region != nullptr) return;
  size_t i = 0;
  try {
    for (; i < locks_.size(); ++i) writes_ ? locks_[i]->write() : locks_[i]->read();
  } catch (...) {
    release_first(i);
    throw;
  }
}

void StepLocks::release() const {
  if (t_region == nullptr) release_first(locks_.size());
}

void StepLocks::give_turn() const {
  if (!writes_ || t_region != nullptr) return;
  for (const auto& lock : locks_) {
    if (!lock->readers_wait()) continue;
    const StopScope to_the_end(nullptr);  // the caller has the locks again in any case
    release();
    lock->await_reader();
    acquire();
    return;
  }
}

bool StepLocks::Region::try_enter() {
  if (!locks_.try_acquire()) return false;
  begin();
  return true;
}

void StepLocks::Region::enter() {
  locks_.acquire();
  begin();
}

void StepLocks::Region::begin() {
  if (t_region != nullptr) return;
  t_region = this;
  g_away.fetch_add(1, std::memory_order_relaxed);
}

void StepLocks::Region::leave() {
  if (t_region != this) return;
  t_region = nullptr;
  locks_.release();
  g_away.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace chainrule
