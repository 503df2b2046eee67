#include "kubelet/probe/prober.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "apimachinery/time.h"
#include "kubelet/container/environment.h"
#include "kubelet/probe/container_probe.h"
#include "kubelet/probe/grpc_health.h"
#include "kubelet/probe/http_get.h"
#include "kubelet/probe/tcp_connect.h"

namespace rusternetes::kubelet {

namespace {

using Kind = ProbeOutcome::Kind;
constexpr int kTries = 3;
constexpr std::size_t kOutputLimit = 10 * 1024;

ProbeOutcome failure(std::string why) { return {Kind::failure, std::move(why), {}}; }
ProbeOutcome error(Kind kind, std::string why) { return {kind, {}, std::move(why)}; }

// Opens as `inner` does, or in this thread's namespace, and keeps why it could not.
http::OpenSocket noting(http::OpenSocket inner, std::shared_ptr<std::string> problem) {
  return [inner = std::move(inner), problem = std::move(problem)](int family) -> Result<int> {
    Result<int> made = -1;
    if (inner) {
      made = inner(family);
    } else if (const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); fd >= 0) {
      made = fd;
    } else {
      made = errno_error("make a socket", errno);
    }
    *problem = made ? std::string() : made.error().message;
    return made;
  };
}

}  // namespace

std::string_view to_string(ProbeOutcome::Kind kind) {
  switch (kind) {
    case Kind::success: return "success";
    case Kind::warning: return "warning";
    case Kind::failure: return "failure";
    case Kind::unknown: return "unknown";
  }
  return {};
}

Task<ProbeOutcome> Prober::probe(Document pod, ContainerRef ref, ProbeKind kind, std::string container_id, std::string pod_ip) {
  ProbeOutcome out;
  for (int tries = 0; tries < kTries; ++tries) {
    out = co_await probe_once(pod, ref, kind, container_id, pod_ip);
    if (out.error.empty()) break;
  }
  co_return out;
}

Task<ProbeOutcome> Prober::probe_once(Document pod, ContainerRef ref, ProbeKind kind, std::string container_id, std::string pod_ip) {
  const auto container = container_of(pod_view(pod), ref);
  const auto spec = probe_of(container, kind);
  const std::chrono::seconds timeout(std::max<std::int64_t>(spec.timeoutSeconds(1), 1));
  if (spec.has_exec()) co_return co_await exec(container, spec.exec(), std::move(container_id), timeout);
  if (!spec.has_httpGet() && !spec.has_tcpSocket() && !spec.has_grpc())
    co_return error(Kind::unknown, fmt::format("missing probe handler for {}:{}", full_name(pod_view(pod)), container.name()));
  // A socket that the node could not make, for want of descriptors, says nothing of the container.
  auto problem = std::make_shared<std::string>();
  auto out = co_await ask(noting(open_socket_, problem), container, spec, std::move(pod_ip), timeout);
  if (!problem->empty() && out.kind == Kind::failure) co_return error(Kind::unknown, *problem);
  co_return out;
}

Task<ProbeOutcome> Prober::ask(http::OpenSocket open_socket, core_v1::Container container, core_v1::Probe spec, std::string pod_ip,
                               std::chrono::seconds timeout) {
  if (spec.has_httpGet()) co_return co_await get(std::move(open_socket), container, spec.httpGet(), std::move(pod_ip), timeout);
  if (spec.has_tcpSocket()) {
    const auto port = container_port(spec.tcpSocket().port().value(), container);
    if (!port) co_return error(Kind::unknown, port.error().message);
    std::string host(spec.tcpSocket().host());
    auto connected = co_await tcp_connect(std::move(open_socket), host.empty() ? pod_ip : host, *port, timeout);
    if (!connected) co_return failure(connected.error().message);
    co_return ProbeOutcome{Kind::success, {}, {}};
  }
  const auto port = static_cast<std::uint16_t>(spec.grpc().port());
  auto problem = co_await check_grpc_health(std::move(open_socket), pod_ip, port, std::string(spec.grpc().service()), timeout);
  if (!problem.empty()) co_return failure(std::move(problem));
  co_return ProbeOutcome{Kind::success, "service healthy", {}};
}

Task<ProbeOutcome> Prober::exec(core_v1::Container container, core_v1::ExecAction action, std::string container_id,
                                std::chrono::seconds timeout) {
  // Only what stands in the spec itself is put in: the command has no other environment here.
  Variables variables;
  for (const auto variable : container.env()) variables[std::string(variable.name())] = variable.value_();
  std::vector<std::string> command;
  for (const auto word : action.command()) command.push_back(expand(word, variables));
  const std::string line = fmt::format("{}", fmt::join(command, " "));
  auto ran = co_await runtime_.exec_sync(std::move(container_id), std::move(command), timeout);
  if (!ran && ran.error().is("Timeout"))
    co_return failure(fmt::format("command timed out: \"{}\" timed out after {}", line,
                                  apimachinery::format_duration(std::chrono::nanoseconds(timeout).count())));
  if (!ran) co_return error(Kind::unknown, ran.error().message);
  std::string output = std::move(ran->stdout_bytes) + ran->stderr_bytes;
  if (output.size() > kOutputLimit) output.resize(kOutputLimit);
  co_return ProbeOutcome{ran->exit_code == 0 ? Kind::success : Kind::failure, std::move(output), {}};
}

Task<ProbeOutcome> Prober::get(http::OpenSocket open_socket, core_v1::Container container, core_v1::HTTPGetAction action, std::string pod_ip,
                               std::chrono::seconds timeout) {
  auto request = make_http_get(action, container, pod_ip, "probe");
  if (!request) co_return error(Kind::unknown, request.error().message);
  auto got = co_await http_get(std::move(open_socket), *std::move(request), timeout);
  if (got.is_body_broken) co_return error(Kind::failure, std::move(got.error));
  if (!got.is_answered) co_return failure(std::move(got.error));
  if (got.status >= 300 && got.status < 400)
    co_return ProbeOutcome{Kind::warning, "Probe terminated redirects, Response body: " + got.body, {}};
  if (got.status >= 200 && got.status < 300) co_return ProbeOutcome{Kind::success, std::move(got.body), {}};
  co_return failure(fmt::format("HTTP probe failed with statuscode: {}", got.status));  // the body stays with the container
}

}  // namespace rusternetes::kubelet
