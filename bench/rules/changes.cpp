#include "rules/changes.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "base/task.h"
#include "load/fleet.h"
#include "load/objects.h"
#include "load/single.h"
#include "rules/rule_watch.h"

namespace rusternetes::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::chrono::seconds kTimeout{60};
constexpr std::size_t kAnswerLimit = 1u << 20;
// Addresses of changed endpoints: beyond those that the Services begin with.
constexpr std::size_t kFirstChanged = 40'000;

http::ClientRequest request(const char* method, std::string target, std::string body, const char* type) {
  http::ClientRequest out;
  out.method = method;
  out.target = std::move(target);
  out.headers.set("accept", "application/json");
  out.headers.set("content-type", type);
  out.body = std::move(body);
  return out;
}

std::string services_path() { return fmt::format("/api/v1/namespaces/{}/services", name_space); }
std::string slices_path() {
  return fmt::format("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", name_space);
}

Result<void> create(const http::Endpoint& endpoint, const char* what, std::size_t count, MakeRequest make) {
  RN_TRY(const auto report, run_fleet(endpoint, {}, 0, count, std::move(make)));
  if (report.failures == 0) return {};
  return internal_error(
      fmt::format("{} of {} {} failed; the first: {}", report.failures, count, what, report.first_failure));
}

// One connection to the api-server, on a thread of its own.
class Connection {
 public:
  ~Connection() { run_blocking(thread_.executor(), close()); }

  Result<void> open(const http::Endpoint& endpoint) {
    RN_TRY(client_, http::Client::create(thread_.executor(), endpoint));
    http::ClientRequest greeting;
    greeting.target = "/version";
    return send(std::move(greeting));
  }

  // Until the answer is read.
  Result<void> send(http::ClientRequest request) {
    Result<void> outcome;
    run_blocking(thread_.executor(), exchange(std::move(request), outcome));
    return outcome;
  }

 private:
  Task<> exchange(http::ClientRequest request, Result<void>& outcome) {
    auto response = co_await client_->send(std::move(request));
    if (!response) {
      outcome = response.error();
      co_return;
    }
    auto body = co_await (*response)->read_all(kAnswerLimit);
    const int status = (*response)->head().status;
    if (!body)
      outcome = body.error();
    else if (status >= 300)
      outcome = internal_error(fmt::format("{}: {}", status, body->substr(0, 300)));
  }
  Task<> close() {
    client_.reset();
    co_return;
  }

  EventThread thread_{"client"};
  std::unique_ptr<http::Client> client_;
};

double ms(Steady::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

Result<void> make_services(const http::Endpoint& endpoint, const Scale& scale,
                           const std::string& node_address) {
  RN_CHECK(prepare(endpoint));
  RN_CHECK(create(endpoint, "nodes", 1, [&](std::size_t) {
    return request("POST", "/api/v1/nodes", node(node_address), "application/json");
  }));
  RN_CHECK(create(endpoint, "Services", scale.services, [](std::size_t n) {
    return request("POST", services_path(), service(n), "application/json");
  }));
  return create(endpoint, "EndpointSlices", scale.services, [&](std::size_t n) {
    return request("POST", slices_path(), slice(scale, n), "application/json");
  });
}

Result<ChangeReport> change_endpoints(const http::Endpoint& endpoint, const Scale& scale, std::size_t from,
                                      std::size_t count, int quiet_ms) {
  Connection connection;
  RN_CHECK(connection.open(endpoint));
  RN_TRY(auto watch, RuleWatch::open());
  ChangeReport report;
  for (std::size_t turn = from; turn < from + count; ++turn) {
    // A stride that meets every Service.
    const std::size_t service = turn * 7919 % scale.services;
    const auto number = static_cast<std::uint16_t>(kFirstChanged + turn);
    auto patch = request("PATCH", fmt::format("{}/{}-bench", slices_path(), service_name(service)),
                         slice_patch(scale, service, number), "application/merge-patch+json");
    RN_CHECK(watch.wait_quiet(std::chrono::milliseconds(quiet_ms), Steady::now() + kTimeout));
    watch.forget();
    Result<void> answer;
    Steady::time_point begin, answered;
    std::thread sender([&] {
      begin = Steady::now();
      answer = connection.send(std::move(patch));
      answered = Steady::now();
    });
    const auto seen = watch.wait_for(number, Steady::now() + kTimeout);
    sender.join();
    if (!answer) return answer.error();
    if (!seen) return seen.error();
    report.rule_ms.push_back(ms(*seen - begin));
    report.answer_ms.push_back(ms(answered - begin));
  }
  return report;
}

}  // namespace rusternetes::bench
