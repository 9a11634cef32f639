// Runs instructions on as many threads as their work is worth.
#pragma once

#include "program/program.h"
#include "program/schedule.h"
#include "threads/stop.h"
#include "threads/thread_pool.h"

namespace chainrule {

class Runner {
 public:
  // For `work` nanoseconds on rule.most threads, or fewer when another caller has the pool.
  Runner(const ThreadRule& rule, double work, Workspace& workspace);

  int threads() const { return rule_.most; }
  // Whether runs stop where the thread's stop flag asks for it: they throw Stopped then, when no thread works any more.
  bool stoppable() const { return stop_ != nullptr; }
  void run_to_the_end() { stop_ = nullptr; }
  // Instructions [begin, end) of a list with these conflicts, the largest of which takes `most_work` nanoseconds.
  // Returns the position of the check that failed, or -1.
  int run(const Instruction* instructions, size_t begin, size_t end, double most_work, void* const* slots,
          const Conflicts& conflicts);

 private:
  ThreadPool pool_;
  ThreadRule rule_;
  bool wake_sleeping_;
  const std::atomic<bool>* stop_;
  void* scratch_;
};

}  // namespace chainrule
