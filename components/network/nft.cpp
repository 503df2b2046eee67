#include "network/nft.h"

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <mutex>

namespace rusternetes::network {

namespace {
std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::string first_line(const char* text) {
  const std::string all = text ? text : "";
  return all.substr(0, all.find('\n'));
}
}  // namespace

void Nft::Free::operator()(nft_ctx* context) const {
  std::lock_guard lock(library_mutex());
  nft_ctx_free(context);
}

Result<Nft> Nft::open() {
  std::lock_guard lock(library_mutex());
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  if (!context) return internal_error("nftables: cannot open a context");
  Nft nft(context);
  if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
    return internal_error("nftables: cannot buffer output");
  return nft;
}

Result<std::string> Nft::run(std::string_view commands) { return run_with(commands, 0); }

Result<std::string> Nft::run_json(std::string_view commands) {
  return run_with(commands, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PRIO);
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

}  // namespace rusternetes::network
