#pragma once
// One exec or attach: the client's streams on one side, the process' on the other.

#include <memory>
#include <string>

#include "engine/runtime.h"
#include "http/streams/remote_command.h"
#include "kubelet/server/attached.h"

namespace rusternetes::kubelet {

struct CommandRequest {
  std::string container_id;
  bool is_attach = false;
  engine::ExecSpec spec;     // of an attach only has_stdin counts
  bool keeps_stdin = false;  // an attach whose container's input outlives it
};

// From the opening of the client's streams to the status it is told. When the client goes, its command gets the
// end of its input and, if that does not end it within 2 s, SIGKILL: engines would let it run on for ever. What an
// attach looks at runs on, and so does a command whose session is cancelled, since the kubelet that stops is no
// client that left.
Task<> run_command_session(engine::Runtime& runtime, Attachments& attachments,
                           std::unique_ptr<http::RemoteCommand> client, CommandRequest request);

}  // namespace rusternetes::kubelet
