#include "threads/pool_choice.h"

#include <algorithm>

namespace chainrule {
namespace {

// In nanoseconds. A thread that another process pushes off its CPU comes back after 4 to 12 ms: the credit is worth a
// few of them.
constexpr double kMostCredit = 30e6, kFirstPatience = 5e6, kMostPatience = 1e9;
constexpr double kLossShare = 32;      // one part in so many of the time may be lost in trials
constexpr int kMostRunsBetween = 256;  // on the pool, before one thread's time is taken again

}  // namespace

bool PoolChoice::use_pool() const { return on_pool_ && runs_ < next_alone_; }

void PoolChoice::took(bool on_pool, double nanoseconds) { on_pool ? pool_took(nanoseconds) : alone_took(nanoseconds); }

void PoolChoice::pool_took(double nanoseconds) {
  runs_ = runs_ + 1;
  const double alone = alone_;
  if (alone == 0) return;
  const double credit = std::min(credit_ + alone - nanoseconds, std::max(kMostCredit, 4 * alone));
  credit_ = credit;
  if (credit > 2 * alone) proven_ = true;
  if (credit > -alone / 2) return;
  const double longer = proven_ ? kFirstPatience : 2 * patience_;
  const double most = std::max(kMostPatience, 64 * alone);
  patience_ = std::clamp(std::max(longer, -credit * kLossShare), std::max(kFirstPatience, 16 * alone), most);
  waited_ = 0;
  on_pool_ = false;
}

// One thread's time is nearly the least that was seen: what disturbs a run only ever makes it longer.
void PoolChoice::alone_took(double nanoseconds) {
  const double before = alone_;
  const bool least = before == 0 || nanoseconds < before;
  alone_ = least ? nanoseconds : before + (std::min(nanoseconds, 2 * before) - before) / 8;
  if (on_pool_) {
    runs_ = 0;
    next_alone_ = std::clamp(8 * next_alone_, 16, kMostRunsBetween);
    return;
  }
  waited_ = waited_ + nanoseconds;
  if (waited_ < patience_) return;
  on_pool_ = true;
  proven_ = false;
  credit_ = 0;
  runs_ = 0;
}

}  // namespace chainrule
