#pragma once
// What `status` and `doctor` print as JSON, for commands that pass it on. Changes nothing.

#include <boost/json/fwd.hpp>

#include "launcher/session.h"

namespace rusternetes::launcher {

boost::json::object status_json(Session& session, const Context& context);
boost::json::object doctor_json(Invocation& invocation);

}  // namespace rusternetes::launcher
