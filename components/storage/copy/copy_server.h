#pragma once
// GET /copy on a unix socket of mode 0600: a consistent copy of the store at one revision, as the file it is.
// Only the owner of the cluster's folder reaches it; the launcher's snapshots come this way while the process
// runs.

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "base/worker.h"
#include "http/server.h"
#include "storage/store.h"

namespace rusternetes::storage {

class CopyServer {
 public:
  // `copy` writes a copy to a path that does not exist and says its revision; it blocks. Copies are made in
  // `folder`.
  using Copy = std::function<Result<Revision>(const std::string& path)>;
  CopyServer(asio::any_io_executor executor, std::string folder, Copy copy);
  Result<void> start(const std::string& socket_path);
  Task<> stop();

 private:
  Task<> handle(std::shared_ptr<http::Exchange> exchange);
  Task<Result<void>> send(std::shared_ptr<http::Exchange> exchange);
  std::string folder_;
  Copy copy_;
  WorkerThread worker_{"store-copy"};
  http::Server server_;
};

}  // namespace rusternetes::storage
