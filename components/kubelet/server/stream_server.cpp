#include "kubelet/server/stream_server.h"

#include <fmt/ranges.h>

#include "client/informer.h"
#include "http/header_text.h"
#include "http/streams/upgrade.h"
#include "kubelet/server/exec.h"
#include "kubelet/server/port_forward.h"
#include "kubelet/server/run_command.h"

namespace rusternetes::kubelet {

namespace {

Status no_pod() { return Status{404, "NotFound", "pod does not exist"}; }

bool is_on(const QueryPairs& query, std::string_view key) {
  const auto values = query_values(query, key);
  return !values.empty() && (values.front() == "1" || values.front() == "true");
}

// A terminal has no end of input that a client could leave.
bool keeps_stdin(const core_v1::Pod& pod, std::string_view name) {
  for (const auto& list : {pod.spec().containers(), pod.spec().initContainers(), ephemeral_containers(pod)})
    for (const auto one : list)
      if (one.name() == name) return one.stdin() && !one.stdinOnce() && !one.tty();
  return false;
}

}  // namespace

std::vector<std::string> query_values(const QueryPairs& query, std::string_view key) {
  std::vector<std::string> out;
  for (const auto& [name, value] : query)
    if (name == key) out.push_back(value);
  return out;
}

Result<http::RemoteCommandOptions> remote_command_options(const QueryPairs& query) {
  http::RemoteCommandOptions out;
  out.has_tty = is_on(query, "tty");
  out.has_stdin = is_on(query, "input");
  out.has_stdout = is_on(query, "output");
  // A terminal has one output.
  out.has_stderr = is_on(query, "error") && !out.has_tty;
  if (!out.has_stdin && !out.has_stdout && !out.has_stderr)
    return Status{400, "BadRequest", "you must specify at least 1 of stdin, stdout, stderr"};
  return out;
}

StreamServer::StreamServer(asio::any_io_executor executor, engine::Runtime& runtime, FindPod find_pod,
                           http::StreamTimeouts timeouts)
    : executor_(executor),
      runtime_(runtime),
      find_pod_(std::move(find_pod)),
      timeouts_(timeouts),
      attachments_(executor),
      tasks_(executor) {}
StreamServer::~StreamServer() = default;

Task<> StreamServer::stop() {
  co_await tasks_.stop();
  co_await attachments_.stop();
}

bool StreamServer::serves(const std::vector<std::string>& path) {
  if (path.empty()) return false;
  if (path[0] == "exec" || path[0] == "attach" || path[0] == "run")
    return path.size() == 4 || path.size() == 5;
  return path[0] == "portForward" && (path.size() == 3 || path.size() == 4);
}

Task<> StreamServer::handle(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path,
                            QueryPairs query, std::shared_ptr<void> keep) {
  const std::string& method = exchange->head().method;
  // A command that needs no upgrade is not run by a link, nor for whoever may only `get`.
  if (method != "POST" && (method != "GET" || path[0] == "run"))
    co_await http::refuse_upgrade(exchange, Status{405, "MethodNotAllowed", "Method Not Allowed"});
  else if (path[0] == "portForward")
    co_await serve_port_forward(exchange, std::move(path), std::move(query), std::move(keep));
  else if (path[0] == "run")
    co_await serve_run(exchange, std::move(path), std::move(query));
  else
    co_await serve_command(exchange, std::move(path), std::move(query), std::move(keep));
}

// A path may name the Pod's UID behind its name: "exec/ns/pod/uid/container", "portForward/ns/pod/uid".
Result<Document> StreamServer::pod_of(const std::vector<std::string>& path) const {
  Document pod = find_pod_(path[1], path[2]);
  const bool has_uid = path.size() == (path[0] == "portForward" ? 4u : 5u);
  if (!pod || (has_uid && path[3] != client::uid_of(pod))) return no_pod();
  return pod;
}

Task<Result<std::string>> StreamServer::running_container(Document pod, std::string name) {
  auto containers = co_await runtime_.list_containers(std::string(client::uid_of(pod)));
  if (!containers) co_return std::move(containers).error();
  const engine::Container* newest = nullptr;
  for (const auto& one : *containers)
    if (one.name == name && one.state == engine::ContainerState::running &&
        (!newest || one.attempt > newest->attempt))
      newest = &one;
  if (!newest) co_return internal_error(fmt::format("container not found (\"{}\")", name));
  co_return newest->id;
}

Task<Result<engine::SandboxStatus>> StreamServer::ready_sandbox(Document pod) {
  const auto missing = internal_error(fmt::format(
      "pod not found (\"{}_{}\")", pod_view(pod).metadata().name(), pod_view(pod).metadata().namespace_()));
  auto sandboxes = co_await runtime_.list_pod_sandboxes(std::string(client::uid_of(pod)));
  if (!sandboxes) co_return std::move(sandboxes).error();
  const engine::Sandbox* newest = nullptr;
  for (const auto& one : *sandboxes)
    if (one.state == engine::SandboxState::ready && (!newest || one.attempt > newest->attempt)) newest = &one;
  if (!newest) co_return missing;
  auto status = co_await runtime_.pod_sandbox_status(newest->id);
  if (status && status->netns_path.empty()) co_return missing;
  co_return status;
}

Task<> StreamServer::serve_command(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path,
                                   QueryPairs query, std::shared_ptr<void> keep) {
  CommandRequest request;
  request.is_attach = path[0] == "attach";
  Status fault;
  auto options = remote_command_options(query);
  auto pod = pod_of(path);
  request.spec.command = query_values(query, "command");
  if (!options)
    fault = options.error();
  else if (!pod)
    fault = pod.error();
  else if (!request.is_attach && request.spec.command.empty())
    fault = Status{400, "BadRequest", "you must specify a command"};
  else if (!http::is_upgrade(exchange->head().headers))
    fault = Status{400, "BadRequest", "Upgrade request required"};
  if (fault.message.empty()) {
    auto found = co_await running_container(*pod, path.back());
    if (found)
      request.container_id = *std::move(found);
    else
      fault = std::move(found).error();
  }
  if (!fault.message.empty()) {
    co_await http::refuse_upgrade(exchange, fault);
    co_return;
  }
  request.spec.has_stdin = options->has_stdin;
  request.spec.has_stdout = options->has_stdout;
  request.spec.has_stderr = options->has_stderr;
  request.spec.has_tty = options->has_tty;
  request.keeps_stdin = request.is_attach && keeps_stdin(pod_view(*pod), path.back());
  auto client = co_await http::RemoteCommand::accept(exchange, *options, timeouts_);
  if (!client) co_return;  // it was told
  auto session = run_command_session(runtime_, attachments_, *std::move(client), std::move(request));
  tasks_.spawn(path[0] + " session", keep_until_end(std::move(session), std::move(keep)));
}

// What the command wrote, both outputs in one.
Task<> StreamServer::serve_run(std::shared_ptr<http::Exchange> exchange, std::vector<std::string> path,
                               QueryPairs query) {
  auto pod = pod_of(path);
  if (!pod) {
    co_await http::refuse_upgrade(exchange, pod.error());
    co_return;
  }
  auto container = co_await running_container(*pod, path.back());
  if (!container) {
    co_await http::refuse_upgrade(exchange, container.error());
    co_return;
  }
  const auto given = query_values(query, "cmd");
  std::vector<std::string> command;
  std::string_view rest = given.empty() ? std::string_view() : std::string_view(given.front());
  for (bool is_last = false; !is_last;) {
    const auto blank = rest.find(' ');
    is_last = blank == std::string_view::npos;
    command.emplace_back(rest.substr(0, blank));
    if (!is_last) rest.remove_prefix(blank + 1);
  }
  const auto running = std::make_shared<RunCommand>(executor_, runtime_, *std::move(container), command);
  tasks_.spawn("run session", RunCommand::run(running));
  // Called as well when the client goes, which ends this coroutine.
  const std::shared_ptr<void> end(nullptr, [running](void*) { running->abandon(); });
  auto ran = co_await running->result();
  Status fault;
  if (!ran)
    fault = Status{500, "InternalError", ran.error().message};
  else if (ran->exit_code)
    fault = internal_error(fmt::format("command '{}' exited with {}: {}", fmt::join(command, " "),
                                       ran->exit_code, ran->stderr_bytes));
  if (!fault.message.empty()) {
    co_await http::refuse_upgrade(exchange, fault);
    co_return;
  }
  http::ResponseHead head;
  head.headers.set("content-type", "application/json");
  std::vector<http::Slice> body;
  body.push_back(http::Slice::own(ran->stdout_bytes + ran->stderr_bytes));
  (void)co_await exchange->respond(std::move(head), std::move(body));
}

Task<> StreamServer::keep_until_end(Task<> session, std::shared_ptr<void>) { co_await std::move(session); }

Task<> StreamServer::serve_port_forward(std::shared_ptr<http::Exchange> exchange,
                                        std::vector<std::string> path, QueryPairs query,
                                        std::shared_ptr<void> keep) {
  Status fault;
  auto pod = pod_of(path);
  if (!pod)
    fault = pod.error();
  else if (!http::is_upgrade(exchange->head().headers))
    fault = Status{400, "BadRequest", "Upgrade request required"};
  if (!fault.message.empty()) {
    co_await http::refuse_upgrade(exchange, fault);
    co_return;
  }
  auto sandbox = co_await ready_sandbox(*pod);
  if (!sandbox) {
    co_await http::refuse_upgrade(exchange, sandbox.error());
    co_return;
  }
  // Held from here on: connections go to this sandbox, and to no other that may get its process' number.
  auto network = network::NetworkNamespace::open(sandbox->netns_path);
  if (!network) {
    co_await http::refuse_upgrade(exchange, internal_error(network.error().message));
    co_return;
  }
  auto client = co_await http::PortForward::accept(exchange, query_values(query, "port"), timeouts_);
  if (!client) co_return;  // it was told
  ForwardTarget target{sandbox->id, *std::move(network)};
  auto session = run_port_forward_session(sockets_, *std::move(client), std::move(target));
  tasks_.spawn("port-forward session", keep_until_end(std::move(session), std::move(keep)));
}

}  // namespace rusternetes::kubelet
