#include "kubelet/pod/lifecycle_hooks.h"

#include <fmt/format.h>

#include "base/log.h"
#include "kubelet/probe/http_get.h"

namespace rusternetes::kubelet {

core_v1::LifecycleHandler hook_of(const core_v1::Container& container, Hook hook) {
  return hook == Hook::post_start ? container.lifecycle().postStart() : container.lifecycle().preStop();
}

namespace {

HookOutcome failed(std::string message) {
  log::debug("kubelet", "{}", message);
  return {false, std::move(message)};
}

std::string where(const core_v1::Pod& pod, const core_v1::Container& container) {
  return fmt::format("for Container \"{}\" in Pod \"{}\"", container.name(), full_name(pod));
}

}  // namespace

Task<HookOutcome> LifecycleHooks::run(Document pod, ContainerRef ref, Hook hook, std::string container_id, std::string pod_ip) {
  const auto view = pod_view(pod);
  const auto container = container_of(view, ref);
  const auto handler = hook_of(container, hook);
  if (handler.has_exec()) {
    std::vector<std::string> command;
    for (const auto word : handler.exec().command()) command.emplace_back(word);
    const std::string words = fmt::format("[{}]", fmt::join(command, " "));
    auto ran = co_await runtime_.exec_sync(std::move(container_id), std::move(command), std::chrono::milliseconds(0));
    if (ran && ran->exit_code == 0) co_return HookOutcome{};
    const std::string error = ran ? fmt::format("command '{}' exited with {}: {}", words.substr(1, words.size() - 2), ran->exit_code, ran->stderr_bytes)
                                  : ran.error().message;
    const std::string output = ran ? ran->stdout_bytes + ran->stderr_bytes : std::string();
    co_return failed(fmt::format("Exec lifecycle hook ({}) {} failed - error: {}, message: \"{}\"", words, where(view, container), error, output));
  }
  if (handler.has_httpGet()) {
    auto problem = co_await get(pod, handler.httpGet(), container, std::move(pod_ip));
    if (problem.empty()) co_return HookOutcome{};
    co_return failed(fmt::format("HTTP lifecycle hook ({}) {} failed - error: {}", handler.httpGet().path(), where(view, container), problem));
  }
  if (handler.has_sleep()) {
    co_await sleep_for(clamped_seconds(handler.sleep().seconds()));
    co_return HookOutcome{};
  }
  co_return failed("Cannot run handler: invalid handler");  // tcpSocket among them: the API takes it, and no kubelet knows it
}

Task<std::string> LifecycleHooks::get(Document pod, core_v1::HTTPGetAction action, core_v1::Container container, std::string pod_ip) {
  if (action.host().empty() && pod_ip.empty()) co_return "failed to find networking container";
  auto request = make_http_get(action, container, pod_ip, "lifecycle");
  if (!request) co_return request.error().message;
  auto got = co_await http_get(prober_.open_socket(), *request, std::chrono::milliseconds(0));
  if (!got.is_plain_answer) co_return got.error;
  // Hooks that say https and mean http have always been served.
  request->is_https = false;
  request->headers.remove("authorization");
  auto plain = co_await http_get(prober_.open_socket(), *request, std::chrono::milliseconds(0));
  if (!plain.is_answered) co_return plain.error;
  events_.warning(pod, "v1", "Pod", "LifecycleHTTPFallback",
                  fmt::format("request to HTTPS lifecycle hook {} got HTTP response, retry with HTTP succeeded", request->authority()));
  co_return std::string();
}

}  // namespace rusternetes::kubelet
