// The mode of a thread that a compiled call depends on; python/chainrule/_util/mode.py sets it.
#pragma once

#include "threads/of_thread.h"

namespace chainrule {

// Whether ops record the graph; kNone: programs made outside do not apply, as inside a trace or a transformation.
enum class CallMode : char { kNone, kNoGrad, kGrad };

// Here, because reading an attribute of a threading.local takes 50 ns, a fiftieth of a small step.
CHAINRULE_FAST_TLS inline constinit thread_local CallMode t_call_mode = CallMode::kGrad;

}  // namespace chainrule
