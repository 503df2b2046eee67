#pragma once
// A program that acts through the API: it acts while it leads, serves its health, and stops in order at
// SIGTERM.

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "client/api_client.h"
#include "client/remote_client.h"
#include "program/flags.h"

namespace rusternetes::program {

// What acts. Made, started, stopped and destroyed on the program's thread, each time anew when the program
// leads again.
class Service {
 public:
  virtual ~Service() = default;
  virtual void start() = 0;
  virtual Task<> stop() = 0;
};

// Makes clients of the kubeconfig's identity, or of that of `tokens`.
class ClientMaker {
 public:
  ClientMaker(asio::any_io_executor executor, client::RemoteOptions options);
  // Certificates, keys and addresses that cannot be used are an error here; make() relies on it.
  Result<void> check() const;
  std::unique_ptr<client::ApiClient> make(std::string user_agent = {},
                                          std::shared_ptr<client::TokenSource> tokens = {}) const;
  asio::any_io_executor executor() const { return executor_; }
  const client::RemoteOptions& options() const { return options_; }

 private:
  Result<std::unique_ptr<client::ApiClient>> try_make(std::string user_agent,
                                                      std::shared_ptr<client::TokenSource> tokens) const;
  asio::any_io_executor executor_;
  client::RemoteOptions options_;
};

using MakeService = std::function<std::unique_ptr<Service>(const ClientMaker& clients)>;

// First of all in main(), before any thread: SIGINT and SIGTERM are waited for, not handled.
void block_signals();
// Runs until a signal comes. The exit code; an error has been printed under `name`. `user_agent` as in
// "kube-scheduler".
int run(std::string name, std::string user_agent, CommonFlags flags, MakeService make);

}  // namespace rusternetes::program
