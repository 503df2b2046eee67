#include "network/names.h"

#include <fmt/format.h>
#include <openssl/sha.h>

namespace rusternetes::network {

namespace {
constexpr int hash_length =
    6;  // of 5 bits each: among 110 Pods of a node a collision has odds of 1 to 180,000

std::string hash(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string result;
  for (int i = 0; i < hash_length; ++i) result += "abcdefghijklmnopqrstuvwxyz234567"[digest[i] & 31];
  return result;
}

std::string_view word(LinkPurpose purpose) {
  switch (purpose) {
    case LinkPurpose::node:
      return "node";
    case LinkPurpose::pod:
      return "pod";
    case LinkPurpose::bridge:
      return "bridge";
    case LinkPurpose::other:
      break;
  }
  return "other";
}
}  // namespace

std::string cluster_hash(std::string_view cluster) { return hash(cluster); }

std::string interface_prefix(std::string_view cluster) { return std::string(link_prefix) + hash(cluster); }

std::string cluster_links(std::string_view cluster, std::string_view bridge) {
  const std::string prefix = interface_prefix(cluster);
  return bridge.empty() || bridge.starts_with(prefix) ? prefix + "*" : std::string(bridge);
}

std::string interface_name(std::string_view cluster, LinkPurpose purpose, std::string_view id) {
  return interface_prefix(cluster) + static_cast<char>(purpose) + hash(id);
}

std::string interface_alias(std::string_view cluster, LinkPurpose purpose, std::string_view id) {
  // The kernel keeps at most 255 bytes (IFALIASZ - 1).
  return fmt::format("rusternetes {} {} {}", cluster, word(purpose), id).substr(0, 255);
}

std::string table_name(std::string_view cluster, std::string_view suffix) {
  return fmt::format("rusternetes-{}{}{}", hash(cluster), suffix.empty() ? "" : "-", suffix);
}

}  // namespace rusternetes::network
