// api-proxy: the host's one address of a cluster with several api-servers.

#include <fmt/format.h>
#include <signal.h>

#include <cstring>
#include <iostream>

#include "api-proxy/flags.h"
#include "base/log.h"
#include "base/memory_trim.h"
#include "base/open_files.h"

using namespace rusternetes;

namespace {

int fail(const Status& status) {
  std::cerr << "api-proxy: " << status.message << "\n";
  return 1;
}

Task<> start(api_proxy::ApiProxy& proxy) {
  proxy.start();
  co_return;
}

Task<> leave(api_proxy::ApiProxy& proxy) { co_await proxy.leave(); }

Task<> stop(api_proxy::ApiProxy& proxy) { co_await proxy.stop(); }

void announce(const api_proxy::Options& options, const api_proxy::ApiProxy& proxy) {
  std::string servers;
  for (const auto& server : options.servers) servers += (servers.empty() ? "" : ", ") + server.text();
  const api_proxy::HostPort own{options.listen.host, proxy.port()};
  log::info("api-proxy", "listening on {} for {}", own.text(), servers);
  if (!options.health) return;
  const api_proxy::HostPort health{options.health->host, proxy.health_port()};
  log::info("api-proxy", "health is served on {}", health.text());
}

}  // namespace

int main(int argc, char** argv) {
  raise_open_files();
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  api_proxy::Flags flags;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (const auto code = api_proxy::parse(words, flags, std::cout, std::cerr)) return *code;
  if (flags.verbosity >= 4) log::set_level(log::Level::debug);
  auto options = api_proxy::options_of(flags);
  if (!options) return fail(options.error());
  const MemoryTrim memory("api-proxy", {});
  EventThread thread("proxy");
  auto proxy = api_proxy::ApiProxy::make(thread.executor(), *options);
  if (!proxy) return fail(proxy.error());
  announce(*options, **proxy);
  run_blocking(thread.executor(), start(**proxy));
  int received = 0;
  while (::sigwait(&signals, &received) == 0 && received == SIGHUP) run_blocking(thread.executor(), leave(**proxy));
  log::info("api-proxy", "stopping: {}", ::strsignal(received));
  run_blocking(thread.executor(), stop(**proxy));
  thread.stop();
  return 0;
}
