#include "network/nft.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <nftables/libnftables.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <sstream>
#include <vector>

namespace rusternetes::network {

namespace {
std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

// The library waits by select(), which ends the process when its socket's number is not below FD_SETSIZE. So
// some low numbers are kept from others, and one of them is let go before a context is opened. Under the
// library's mutex.
class LowNumbers {
 public:
  // While there are low numbers for all, too.
  void keep() {
    while (kept_.size() < kMost) {
      const int fd = ::fcntl(source(), F_DUPFD_CLOEXEC, 0);
      if (fd < 0) return;
      if (fd >= FD_SETSIZE) {
        ::close(fd);
        return;
      }
      kept_.push_back(fd);
    }
  }
  // Whether a socket that is opened next gets a low number, but for what other threads open at the same time.
  bool is_low_free() const {
    const int fd = ::fcntl(source(), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) ::close(fd);
    return fd >= 0 && fd < FD_SETSIZE - kMargin;
  }
  // -1: none is left.
  int let_go() {
    if (kept_.empty()) return -1;
    const int fd = kept_.back();
    kept_.pop_back();
    ::close(fd);
    return fd;
  }

 private:
  static constexpr std::size_t kMost = 32;  // contexts at a time, and numbers that were lost to others
  static constexpr int kMargin = 128;
  static int source() {
    static const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd;
  }
  std::vector<int> kept_;
};

LowNumbers& low_numbers() {
  static LowNumbers numbers;
  return numbers;
}

bool is_netlink(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK;
}

// Null: there is no memory, socket or low number left.
nft_ctx* new_context() {
  LowNumbers& numbers = low_numbers();
  if (numbers.is_low_free()) {
    numbers.keep();
    return nft_ctx_new(NFT_CTX_DEFAULT);
  }
  for (int fd = numbers.let_go(); fd >= 0; fd = numbers.let_go()) {
    nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!context || is_netlink(fd)) return context;
    nft_ctx_free(context);  // another thread was faster
  }
  return nullptr;
}

std::string first_line(const char* text) {
  const std::string all = text ? text : "";
  return all.substr(0, all.find('\n'));
}
}  // namespace

void Nft::Free::operator()(nft_ctx* context) const {
  std::lock_guard lock(library_mutex());
  nft_ctx_free(context);
  low_numbers().keep();
}

Result<Nft> Nft::open() {
  std::lock_guard lock(library_mutex());
  nft_ctx* context = new_context();
  if (!context) return internal_error("nftables: cannot open a context: too many files are open, perhaps");
  Nft nft(context);
  if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
    return internal_error("nftables: cannot buffer output");
  return nft;
}

Result<std::string> Nft::run(std::string_view commands) { return run_with(commands, 0); }

Result<std::string> Nft::run_json(std::string_view commands) {
  return run_with(commands, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PRIO);
}

Result<std::string> Nft::run_terse_json(std::string_view commands) {
  return run_with(commands, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PRIO | NFT_CTX_OUTPUT_TERSE);
}

Result<std::string> Nft::run_with(std::string_view commands, unsigned flags) {
  std::lock_guard lock(library_mutex());
  nft_ctx_output_set_flags(context_.get(), flags);
  const int failed = nft_run_cmd_from_buffer(context_.get(), std::string(commands).c_str());
  std::string output = nft_ctx_get_output_buffer(context_.get());
  const std::string error = first_line(nft_ctx_get_error_buffer(context_.get()));
  if (!failed) return output;
  const std::string message = fmt::format("nftables: {}", error.empty() ? "the commands failed" : error);
  if (error.find("No such file or directory") != std::string::npos) return Status{404, "NotFound", message};
  return internal_error(message);
}

bool is_safe_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<bool> has_table(const NetworkNamespace& where, std::string_view name) {
  const auto listed = inside(where, [&]() -> Result<std::string> {
    RN_TRY(auto nft, Nft::open());
    return nft.run(fmt::format("list table inet {}", name));
  });
  if (!listed && listed.error().is("NotFound")) return false;
  RN_CHECK(listed);
  return true;
}

Result<> delete_tables(const NetworkNamespace& where, std::string_view prefix) {
  return inside(where, [&]() -> Result<> {
    RN_TRY(auto nft, Nft::open());
    RN_TRY(const std::string listed, nft.run("list tables inet"));
    constexpr std::string_view begin = "table inet ";
    std::string commands;
    std::istringstream lines(listed);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(begin) || !std::string_view(line).substr(begin.size()).starts_with(prefix)) continue;
      commands += fmt::format("add {0}\ndelete {0}\n", line);  // one that has gone meanwhile is no error
    }
    if (!commands.empty()) RN_CHECK(nft.run(commands));
    return {};
  });
}

}  // namespace rusternetes::network
