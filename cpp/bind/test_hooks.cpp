// What tests ask of the executor's parts that no program shows.
#include <chrono>
#include <stdexcept>
#include <thread>

#include "bind/arrays.h"
#include "threads/thread_pool.h"
#include "threads/pool_choice.h"

namespace chainrule {
namespace {

struct Meeting {
  std::atomic<int> here{0};
  std::atomic<bool> late{false};
  std::chrono::steady_clock::time_point end;
};

// Whether all lanes of one phase are done at the same time: each waits for the others.
bool team_meets(int threads, double seconds) {
  Meeting meeting;
  meeting.end = std::chrono::steady_clock::now() +
                std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
  int lanes = 0;
  {
    const py::gil_scoped_release release;
    Team team(threads);
    lanes = team.threads();
    const auto lane = [](void* context, int, Share share) {
      Meeting& m = *static_cast<Meeting*>(context);
      ++m.here;
      while (m.here < share.count && !m.late) {
        std::this_thread::yield();
        if (std::chrono::steady_clock::now() > m.end) m.late = true;
      }
    };
    team.run({lane, &meeting, &lanes, 1});
  }
  return lanes == threads && !meeting.late;
}

struct Thrower {
  int phase, lane;
  std::atomic<int> done{0};
};

// Throws out of one lane; returns how many others were done, as they all are.
int team_throws(int threads, int phases, int phase, int lane) {
  Thrower thrower = {phase, lane};
  try {
    const py::gil_scoped_release release;
    Team team(threads);
    const std::vector<int> lanes(static_cast<size_t>(phases), team.threads());
    const auto body = [](void* context, int p, Share share) {
      Thrower& t = *static_cast<Thrower*>(context);
      if (p == t.phase && share.index == t.lane) throw std::runtime_error("thrown by a lane");
      ++t.done;
    };
    team.run({body, &thrower, lanes.data(), phases});
  } catch (const std::runtime_error& error) {
    if (thrower.done != threads * phases - 1) throw std::logic_error("lanes were left out");
    throw;
  }
  return thrower.done;
}

}  // namespace

void bind_trials(py::module_& m) {
  m.def("team_meets", team_meets, py::arg("threads"), py::arg("seconds"),
        "Whether so many threads come together within this time.");
  m.def("team_throws", team_throws, py::arg("threads"), py::arg("phases"), py::arg("phase"), py::arg("lane"),
        "Throws out of a lane of a phase; RuntimeError.");
  py::class_<TeamChoice>(m, "TeamChoice")
      .def(py::init<>())
      .def("team", &TeamChoice::team, "Whether the next run is the team's.")
      .def("took", &TeamChoice::took, py::arg("team"), py::arg("nanoseconds"), "A run of the team or of one thread.");
}

}  // namespace chainrule
