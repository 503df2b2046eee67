#include "program/program.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <iostream>
#include <optional>
#include <random>

#include "base/log.h"
#include "base/open_files.h"
#include "client/deadline.h"
#include "program/health.h"

namespace rusternetes::program {

using client::LeaderElector;

namespace {

// Which of several servers the process asks first: others of its kind take others.
std::size_t first_server(std::size_t count) {
  static const auto chosen = std::random_device{}();
  return count == 0 ? 0 : chosen % count;
}

}  // namespace

ClientMaker::ClientMaker(asio::any_io_executor executor, client::RemoteOptions options)
    : executor_(std::move(executor)), options_(std::move(options)) {
  auto& servers = options_.servers;
  std::ranges::rotate(servers, servers.begin() + static_cast<std::ptrdiff_t>(first_server(servers.size())));
}

Result<std::unique_ptr<client::ApiClient>> ClientMaker::try_make(
    std::string user_agent, std::shared_ptr<client::TokenSource> tokens) const {
  client::RemoteOptions options = options_;
  if (!user_agent.empty()) options.user_agent = std::move(user_agent);
  if (tokens) {  // the token alone is the identity
    options.tls.certificate_chain_pem.clear();
    options.tls.private_key_pem.clear();
    options.bearer_token = nullptr;
    options.tokens = std::move(tokens);
  }
  return client::make_remote_client(executor_, std::move(options), apimachinery::Registry::builtin());
}

Result<void> ClientMaker::check() const {
  RN_TRY(const auto made, try_make({}, {}));
  (void)made;
  return {};
}

std::unique_ptr<client::ApiClient> ClientMaker::make(std::string user_agent,
                                                     std::shared_ptr<client::TokenSource> tokens) const {
  auto made = try_make(std::move(user_agent), std::move(tokens));
  RN_ASSERT(made, "options that were checked make no client");
  return std::move(*made);
}

namespace {

constexpr client::Resource namespaces{"", "v1", "namespaces"};
constexpr std::chrono::milliseconds kLeastPause{100}, kMostPause{2'000};

// Everything that lives on the program's one thread.
class Runner {
 public:
  Runner(std::string name, asio::any_io_executor executor, client::RemoteOptions remote, CommonFlags flags,
         MakeService make)
      : name_(std::move(name)),
        clients_(executor, std::move(remote)),
        flags_(std::move(flags)),
        make_(std::move(make)),
        tasks_(executor) {}

  Task<> start(Result<void>& outcome) {
    outcome = try_start();
    co_return;
  }

  // In the order that loses nothing: who acts ends, the lease is given back, then health is no longer served.
  Task<> stop() {
    co_await tasks_.stop();
    if (health_) co_await health_->stop();
    health_.reset();
    elector_.reset();
    elector_client_.reset();
  }

 private:
  Result<void> try_start() {
    RN_CHECK(clients_.check());
    if (flags_.leader_elect) {
      RN_TRY(auto options, leader_options(flags_));
      elector_client_ = clients_.make();
      elector_ = std::make_unique<LeaderElector>(*elector_client_, std::move(options));
    }
    if (flags_.secure_port != 0) {
      std::vector<HealthCheck> checks;
      if (elector_) checks.push_back({"leaderElection", [this] { return check_leadership(); }});
      health_ = std::make_unique<HealthServer>(clients_.executor(), std::move(checks));
      RN_TRY(const auto port,
             health_->start({flags_.bind_address, static_cast<std::uint16_t>(flags_.secure_port),
                             flags_.tls_certificate_file, flags_.tls_key_file}));
      log::info(name_, "health is served on {}:{}", flags_.bind_address, port);
    }
    tasks_.spawn(name_, elector_ ? lead_when_elected() : act());
    if (!elector_) tasks_.spawn(name_ + " greeting", tell_of_api());
    return {};
  }

  Result<void> check_leadership() const {
    if (elector_->is_healthy()) return {};
    return internal_error("the lease was not renewed in time");
  }

  Task<> lead_when_elected() {
    for (;;) co_await elector_->run([this] { return act(); });
  }

  // Informers try again without a word. An elector says by itself that it waits.
  Task<> tell_of_api() {
    const auto client = clients_.make();
    for (auto pause = kLeastPause;; pause = std::min(2 * pause, kMostPause)) {
      auto answer = co_await client->get(namespaces, "", "default");
      const bool is_there = answer || (answer.error().code >= 400 && answer.error().code < 500);
      if (is_there && pause > kLeastPause) log::info(name_, "the API answers");
      if (is_there) co_return;
      if (pause == kLeastPause) log::warn(name_, "waiting for the API: {}", answer.error().message);
      co_await sleep_for(pause);
    }
  }

  // Until it is cancelled.
  Task<> act() {
    auto service = make_(clients_);
    service->start();
    AsyncEvent never(clients_.executor());
    try {
      co_await never.wait();
    } catch (const boost::system::system_error&) {
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await client::hold_cancellation();
    co_await service->stop();
    service.reset();
  }

  std::string name_;
  ClientMaker clients_;
  CommonFlags flags_;
  MakeService make_;
  std::unique_ptr<client::ApiClient> elector_client_;
  std::unique_ptr<LeaderElector> elector_;
  std::unique_ptr<HealthServer> health_;
  TaskGroup tasks_;
};

sigset_t end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void block_signals() {
  const sigset_t signals = end_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int run(std::string name, std::string user_agent, CommonFlags flags, MakeService make) {
  raise_open_files();
  auto fail = [&](const Status& status) {
    std::cerr << name << ": " << status.message << "\n";
    return 1;
  };
  if (flags.verbosity >= 4) log::set_level(log::Level::debug);
  auto remote = remote_options(flags, std::move(user_agent));
  if (!remote) return fail(remote.error());
  EventThread thread("control");
  Runner runner(name, thread.executor(), *std::move(remote), std::move(flags), std::move(make));
  Result<void> started;
  run_blocking(thread.executor(), runner.start(started));
  if (started) {
    const sigset_t signals = end_signals();
    int received = 0;
    sigwait(&signals, &received);
    log::info(name, "stopping");
  }
  run_blocking(thread.executor(), runner.stop());
  thread.stop();
  return started ? 0 : fail(started.error());
}

}  // namespace rusternetes::program
