#include "storage/copy/copy_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace rusternetes::storage {
namespace {

constexpr std::size_t piece_bytes = 256 * 1024;

// A file that is there only while it is open.
struct HiddenFile {
  int fd = -1;
  ~HiddenFile() {
    if (fd >= 0) ::close(fd);
  }
};

http::Server::Options options_for(asio::any_io_executor executor, http::Handler handler) {
  http::Server::Options options;
  options.name = "store-copy";
  options.executors = {std::move(executor)};
  options.handler = std::move(handler);
  return options;
}

}  // namespace

CopyServer::CopyServer(asio::any_io_executor executor, std::string folder, Copy copy)
    : folder_(std::move(folder)),
      copy_(std::move(copy)),
      server_(options_for(std::move(executor), [this](std::shared_ptr<http::Exchange> exchange) {
        return handle(std::move(exchange));
      })) {}

Result<void> CopyServer::start(const std::string& socket_path) {
  RN_CHECK(server_.listen_unix(socket_path, 0600));
  server_.start();
  return {};
}

Task<> CopyServer::stop() { co_await server_.stop(std::chrono::seconds(5)); }

Task<> CopyServer::handle(std::shared_ptr<http::Exchange> exchange) {
  auto sent = co_await send(exchange);
  if (sent || exchange->has_begun()) co_return;
  http::ResponseHead head;
  head.status = sent.error().code;
  head.headers.add("content-type", "text/plain");
  std::vector<http::Slice> body;
  body.push_back(http::Slice::own(sent.error().message + "\n"));
  auto told = co_await exchange->respond(std::move(head), std::move(body));
  (void)told;  // whoever asked has gone
}

Task<Result<void>> CopyServer::send(std::shared_ptr<http::Exchange> exchange) {
  if (exchange->head().method != "GET" || exchange->head().target != "/copy")
    co_return Status{404, "NotFound", fmt::format("copies \"{}\" not found", exchange->head().target)};
  const std::string path = fmt::format("{}/copy-{}.db", folder_, ::getpid());
  HiddenFile file;
  auto make = [&]() -> Result<Revision> {
    ::unlink(path.c_str());  // left by a process that was killed
    RN_TRY(const auto revision, copy_(path));
    file.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::unlink(path.c_str());
    if (file.fd < 0) return errno_error(path, errno);
    return revision;
  };
  auto revision = co_await worker_.run(make);
  if (!revision) co_return revision.error();
  http::ResponseHead head;
  head.headers.add("content-type", "application/vnd.sqlite3");
  head.headers.add("x-revision", std::to_string(*revision));
  auto begun = co_await exchange->begin(std::move(head));
  if (!begun) co_return begun.error();
  for (;;) {
    auto read = [&]() -> Result<std::string> {
      std::string piece(piece_bytes, '\0');
      const ssize_t got = ::read(file.fd, piece.data(), piece.size());
      if (got < 0) return errno_error("read the copy", errno);
      piece.resize(static_cast<std::size_t>(got));
      return piece;
    };
    auto piece = co_await worker_.run(read);
    if (!piece) co_return piece.error();  // the response breaks off
    if (piece->empty()) break;
    std::vector<http::Slice> body;
    body.push_back(http::Slice::own(*std::move(piece)));
    auto written = co_await exchange->write(std::move(body));
    if (!written) co_return written.error();
  }
  co_return co_await exchange->finish();
}

}  // namespace rusternetes::storage
