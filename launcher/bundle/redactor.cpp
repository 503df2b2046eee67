#include "launcher/bundle/redactor.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "certs/file.h"
#include "certs/kubeconfig.h"

namespace rusternetes::launcher::bundle {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shortest = 8;
// Base64 is looked for in pieces, of which a cut text still has some.
constexpr std::size_t base64_piece = 48;
constexpr std::size_t hint_count = 1 << 16;

std::uint64_t first_bytes(const char* text) {
  std::uint64_t out = 0;
  std::memcpy(&out, text, sizeof out);
  return out;
}

std::size_t hint_of(std::uint64_t bytes) { return (bytes * 0x9e3779b97f4a7c15u) >> 48; }

}  // namespace

struct Redactor::Patterns {
  struct Pattern {
    Pattern(const std::string& expression, const char* instead)
        : find(expression, RE2::Quiet), put(instead) {}
    RE2 find;
    std::string put;
  };
  // In this order.
  std::vector<std::unique_ptr<Pattern>> all;
  void add(const std::string& expression, const char* instead) {
    all.push_back(std::make_unique<Pattern>(expression, instead));
    RN_ASSERT(all.back()->find.ok(), "a pattern that RE2 does not take");
  }
  Patterns() {
    // Private keys in PEM, also without their beginning or their end, and with \n for line breaks.
    add(R"((?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z))",
        "[removed]");
    add(R"((?m)(?:^(?:[A-Za-z0-9+/=]|\[removed\])+\r?\n)*-----END [A-Z0-9 ]*PRIVATE KEY-----)", "[removed]");
    // The same in base64: "-----BEGIN", as kubeconfigs' client-key-data and Secrets' data begin. Certificates
    // go, too.
    add(R"(LS0tLS1CRUdJTi[A-Za-z0-9+/=]*)", "[removed]");
    // JSON Web Tokens, as service accounts' tokens are.
    add(R"(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?)", "[removed]");
    add(R"((?i)\b(bearer|basic)(\s+|%20)[A-Za-z0-9._~+/=-]{8,})", R"(\1 [removed])");
    // kubeadm's bootstrap tokens.
    add(R"(\b[a-z0-9]{6}\.[a-z0-9]{16}\b)", "[removed]");
    add(R"((://)[^/\s:@"']+:[^/\s@"']+@)", R"(\1[removed]@)");
    // Fields and flags by their name: JSON within a text of JSON, quoted values, with which JSON stays JSON,
    // and bare ones.
    const std::string name =
        R"re((?i)([\w.-]*(?:passw(?:or)?d|passphrase|token|secret|api[-_]?key|key-data|credentials?|private[-_]?key))re";
    add(name + R"re(s?\\["']\s*[:=]\s*\\["'])[^"'\\\n]+)re", R"(\1[removed])");
    add(name + R"re(s?["']?\s*[:=]\s*")(?:[^"\\\n]|\\.)+)re", R"(\1[removed])");
    add(name + R"re(s?["']?\s*[:=]\s*')[^'\n]+)re", R"(\1[removed])");
    add(name + R"re(\s*[:=]\s*)[A-Za-z0-9+/._~$@%!*-][^\s,;&"'}\]]*)re", R"(\1[removed])");
  }
};

Redactor::Redactor() : patterns_(std::make_unique<Patterns>()), hints_(hint_count) {}
Redactor::~Redactor() = default;

void Redactor::add_piece(std::string_view piece) {
  if (piece.size() < shortest || piece.starts_with("-----")) return;
  const std::uint64_t bytes = first_bytes(piece.data());
  auto& pieces = known_[bytes];
  if (std::find(pieces.begin(), pieces.end(), piece) != pieces.end()) return;
  pieces.emplace_back(piece);
  // The longest first, so that nothing of it is left over.
  std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  hints_[hint_of(bytes)] = true;
}

void Redactor::add_lines(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    add_piece(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Redactor::add_secret(std::string_view value) {
  add_lines(value);
  if (value.size() < shortest) return;
  const std::string encoded = certs::base64(value);
  add_piece(encoded);
  for (std::size_t at = 0; at < encoded.size(); at += base64_piece)
    add_piece(std::string_view(encoded).substr(at, base64_piece));
}

void Redactor::add_base64(std::string_view encoded) {
  std::string value;
  unsigned bits = 0;
  int count = 0;
  for (const char c : encoded) {
    const int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (digit < 0) continue;  // padding
    bits = bits << 6 | static_cast<unsigned>(digit);
    if ((count += 6) >= 8) value += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  add_secret(value);
}

void Redactor::add_file(const fs::path& file) {
  const auto text = certs::read_text(file, 1 << 20);
  if (!text) return;
  if (text->find("PRIVATE KEY-----") != std::string::npos) add_secret(*text);
  static const RE2 field(R"((?:client-key-data|token|password):\s*"?([^\s"]+))");
  re2::StringPiece rest(*text);
  for (std::string found; RE2::FindAndConsume(&rest, field, &found);) {
    add_piece(found);
    for (std::size_t at = 0; at < found.size(); at += base64_piece)
      add_piece(std::string_view(found).substr(at, base64_piece));
  }
}

void Redactor::add_cluster(const ClusterPaths& paths) {
  std::error_code error;
  for (const fs::path& folder : {paths.pki(), paths.components()})
    for (auto at = fs::recursive_directory_iterator(folder, error);
         !error && at != fs::recursive_directory_iterator(); at.increment(error))
      add_file(at->path());
  // kubeconfigs
  for (auto at = fs::directory_iterator(paths.root, error); !error && at != fs::directory_iterator();
       at.increment(error))
    if (std::error_code gone; at->is_regular_file(gone)) add_file(at->path());
}

void Redactor::remove_known(std::string& text) const {
  std::string out;
  std::size_t kept = 0;  // up to here it is in `out`
  for (std::size_t at = 0; at + shortest <= text.size();) {
    const std::uint64_t bytes = first_bytes(text.data() + at);
    const std::string* hit = nullptr;
    if (hints_[hint_of(bytes)])
      if (const auto pieces = known_.find(bytes); pieces != known_.end())
        for (const std::string& one : pieces->second)
          if (text.compare(at, one.size(), one) == 0) {
            hit = &one;
            break;
          }
    if (hit == nullptr) {
      ++at;
      continue;
    }
    out.append(text, kept, at - kept).append(removed);
    kept = at += hit->size();
  }
  if (kept == 0) return;
  out.append(text, kept);
  text = std::move(out);
}

std::string Redactor::clean(std::string text) const {
  remove_known(text);
  for (const auto& pattern : patterns_->all) RE2::GlobalReplace(&text, pattern->find, pattern->put);
  return text;
}

}  // namespace rusternetes::launcher::bundle
