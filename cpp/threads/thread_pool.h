// The process's team of threads: the only file, with team.cpp, that knows the thread library.
//
// Work comes in phases, a phase in lanes. Each lane is done once, by whichever member comes first; a phase begins when
// the one before is complete. Members prefer the lane of their own number, whose data is in their cache, and take
// another's when its member is not there: nobody ever waits for a thread to arrive, only for a lane that somebody has
// begun. That is what an OpenMP region cannot do: with another process on one of two CPUs its barriers made steps of
// 1.8 ms take 10 to 90 ms.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "threads/threads.h"

namespace chainrule {

struct TeamWork {
  void (*lane)(void* context, int phase, Share lane);
  void* context;
  const int* lanes;  // of each phase: 1 to the team's threads
  int phases;
  bool wakes = true;  // members that sleep; else it is done by those who are awake
};

class Team {
 public:
  // `threads` members, the calling thread among them; started when they are needed for the first time. One caller has
  // the team: for a second one threads() is 1, as it is where no thread can be started.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return threads_; }
  // Returns when all phases are complete. Every lane runs in the default floating-point mode. An exception out of one
  // is the caller's when the others are done.
  void run(const TeamWork& work);

 private:
  friend struct TeamState;
  void run_lane(int phase, Share lane);

  int threads_ = 1;
  const TeamWork* work_ = nullptr;
  uint64_t first_ = 0;  // ticket of the first phase
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

// Calls body(context, share) for every share of a team of `threads`, each on its own thread as far as there are any.
using TeamBody = void (*)(void* context, Share share);
void run_team(int threads, TeamBody body, void* context);

// Whether this thread does the work of a team: what it calls then has one thread.
bool in_team();

}  // namespace chainrule
