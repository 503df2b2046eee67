#include "load/single.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/task.h"
#include "load/objects.h"

namespace rusternetes::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t answer_limit = 64u << 20;

double ms_since(Steady::time_point begin) {
  return std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
}

http::ClientRequest get(std::string target, std::string accept = "application/json") {
  http::ClientRequest request;
  request.target = std::move(target);
  request.headers.set("accept", std::move(accept));
  return request;
}

http::ClientRequest post(std::string target, std::string body) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers.set("content-type", "application/json");
  request.body = std::move(body);
  return request;
}

// The body of an answer below 300, else what it says.
Task<Result<std::string>> exchange(http::Client& client, http::ClientRequest request) {
  auto response = co_await client.send(std::move(request));
  if (!response) co_return response.error();
  auto body = co_await (*response)->read_all(answer_limit);
  if (!body) co_return body.error();
  const int status = (*response)->head().status;
  if (status >= 300) co_return Status{status, "", fmt::format("{}: {}", status, body->substr(0, 300))};
  co_return std::move(*body);
}

// The text between `before` and the next quote, where `before` first occurs.
std::string between(std::string_view text, std::string_view before) {
  const auto at = text.find(before);
  if (at == text.npos) return "";
  const auto begin = at + before.size();
  return std::string(text.substr(begin, text.find('"', begin) - begin));
}

// An open watch, read line by line.
class Watch {
 public:
  Task<Result<void>> open(http::Client& client, std::string target) {
    auto response = co_await client.send(get(std::move(target)));
    if (!response) co_return response.error();
    if (const int status = (*response)->head().status; status != 200) {
      auto body = co_await (*response)->read_all(answer_limit);
      co_return Status{status, "", fmt::format("watch: {}: {}", status, body ? body->substr(0, 300) : "")};
    }
    response_ = std::move(*response);
    co_return Result<void>{};
  }

  Task<Result<std::string>> next() {
    for (;;) {
      if (const auto end = buffer_.find('\n'); end != buffer_.npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        co_return line;
      }
      auto more = co_await response_->read_some();
      if (!more) co_return more.error();
      if (more->empty()) co_return internal_error("the watch ended");
      buffer_ += *more;
    }
  }

 private:
  std::unique_ptr<http::ClientResponse> response_;
  std::string buffer_;
};

// One thread with a few connections; work runs on it to its end.
class Session {
 public:
  explicit Session(http::Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  ~Session() { run_blocking(thread_.executor(), close()); }

  Result<http::Client*> connect() {
    RN_TRY(auto client, http::Client::create(thread_.executor(), endpoint_));
    clients_.push_back(std::move(client));
    return clients_.back().get();
  }

  template <class T>
  Result<T> run(Task<Result<T>> work) {
    Result<T> outcome = internal_error("not run");
    run_blocking(thread_.executor(), store(outcome, std::move(work)));
    return outcome;
  }

 private:
  template <class T>
  static Task<> store(Result<T>& outcome, Task<Result<T>> work) {
    auto result = co_await std::move(work);
    outcome = std::move(result);
  }
  Task<> close() {
    clients_.clear();
    co_return;
  }

  http::Endpoint endpoint_;
  EventThread thread_{"client"};
  std::vector<std::unique_ptr<http::Client>> clients_;
};

std::string pods_path(std::string_view in) { return fmt::format("/api/v1/namespaces/{}/pods", in); }

Task<Result<ListReport>> list_all(http::Client& client, std::string accept, std::size_t count) {
  ListReport report;
  auto greeting = co_await exchange(client, get("/version"));
  if (!greeting) co_return greeting.error();
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = Steady::now();
    auto response = co_await client.send(get(pods_path(name_space), accept));
    if (!response) co_return response.error();
    if (const int status = (*response)->head().status; status != 200)
      co_return Status{status, "", fmt::format("list: {}", status)};
    const auto type = (*response)->head().headers.get("content-type").value_or("");
    if (type.substr(0, accept.size()) != accept)
      co_return internal_error(fmt::format("asked for {}, got {}", accept, type));
    report.bytes = 0;
    for (;;) {
      auto piece = co_await (*response)->read_some();
      if (!piece) co_return piece.error();
      if (piece->empty()) break;
      report.bytes += piece->size();
    }
    report.walls_ms.push_back(static_cast<float>(ms_since(begin)));
  }
  co_return report;
}

Task<Result<std::vector<float>>> watch_creates(http::Client& reader, http::Client& writer, std::string prefix,
                                               std::size_t count) {
  auto head = co_await exchange(reader, get(pods_path(name_space) + "?limit=1"));
  if (!head) co_return head.error();
  auto greeting = co_await exchange(writer, get("/version"));
  if (!greeting) co_return greeting.error();
  const auto list_head = head->substr(0, head->find("\"items\""));
  const std::string version = between(list_head, "\"resourceVersion\":\"");
  if (version.empty()) co_return internal_error("the list has no resourceVersion");
  Watch watch;
  auto opened = co_await watch.open(
      reader, fmt::format("{}?watch=true&resourceVersion={}", pods_path(name_space), version));
  if (!opened) co_return opened.error();
  auto executor = co_await asio::this_coro::executor;
  std::vector<float> latencies;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("{}-{}", prefix, i);
    const std::string wanted = fmt::format("\"name\":\"{}\"", name);
    TaskGroup group(executor);
    Result<std::string> answer = internal_error("no answer");
    AsyncEvent answered(executor);
    auto send = [](http::Client& client, std::string body, Result<std::string>& out,
                   AsyncEvent& done) -> Task<> {
      auto result = co_await exchange(client, post(pods_path(name_space), std::move(body)));
      out = std::move(result);
      done.set();
    };
    const auto begin = Steady::now();
    group.spawn("create", send(writer, bare_pod(name), answer, answered));
    for (;;) {
      auto line = co_await watch.next();
      if (!line) co_return line.error();
      if (line->find(wanted) != line->npos) break;
    }
    latencies.push_back(static_cast<float>(ms_since(begin)));
    co_await answered.wait();
    co_await group.stop();
    if (!answer) co_return answer.error();
  }
  std::sort(latencies.begin(), latencies.end());
  co_return latencies;
}

Task<Result<RunningReport>> see_running(http::Client& reader, http::Client& writer, std::string pods,
                                        std::string name, std::string manifest) {
  auto greeting = co_await exchange(writer, get("/version"));
  if (!greeting) co_return greeting.error();
  Watch watch;
  auto opened =
      co_await watch.open(reader, fmt::format("{}?watch=true&fieldSelector=metadata.name%3D{}", pods, name));
  if (!opened) co_return opened.error();
  RunningReport report;
  const auto begin = Steady::now();
  if (manifest.empty()) {
    std::puts("watching");
    std::fflush(stdout);
  } else {
    http::ClientRequest create = post(pods, std::move(manifest));
    auto answer = co_await exchange(writer, std::move(create));
    if (!answer) co_return answer.error();
    report.created_ms = ms_since(begin);
  }
  for (;;) {
    auto line = co_await watch.next();
    if (!line) co_return line.error();
    if (line->find("\"phase\":\"Running\"") == line->npos) continue;
    report.running_ms = ms_since(begin);
    report.running_at_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now().time_since_epoch()).count();
    co_return report;
  }
}

Task<Result<int>> make_namespace(http::Client& client) {
  const std::pair<std::string, std::string> objects[] = {
      {"/api/v1/namespaces",
       fmt::format(R"({{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{}"}}}})", name_space)},
      {fmt::format("/api/v1/namespaces/{}/serviceaccounts", name_space),
       R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}})"}};
  for (const auto& [target, body] : objects) {
    auto answer = co_await exchange(client, post(target, body));
    if (!answer && answer.error().code != 409) co_return answer.error();
  }
  co_return 0;
}

}  // namespace

Result<ListReport> run_lists(const http::Endpoint& endpoint, const std::string& accept, std::size_t count) {
  Session session(endpoint);
  RN_TRY(auto* client, session.connect());
  return session.run(list_all(*client, accept, count));
}

Result<std::vector<float>> run_watch(const http::Endpoint& endpoint, const std::string& prefix,
                                     std::size_t count) {
  Session session(endpoint);
  RN_TRY(auto* reader, session.connect());
  RN_TRY(auto* writer, session.connect());
  return session.run(watch_creates(*reader, *writer, prefix, count));
}

Result<RunningReport> await_running(const http::Endpoint& endpoint, const std::string& pod_name_space,
                                    const std::string& name, const std::string& manifest) {
  Session session(endpoint);
  RN_TRY(auto* reader, session.connect());
  RN_TRY(auto* writer, session.connect());
  return session.run(see_running(*reader, *writer, pods_path(pod_name_space), name, manifest));
}

Result<void> prepare(const http::Endpoint& endpoint) {
  Session session(endpoint);
  RN_TRY(auto* client, session.connect());
  RN_TRY([[maybe_unused]] const int made, session.run(make_namespace(*client)));
  return {};
}

}  // namespace rusternetes::bench
