#include "certs/kubeconfig.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

namespace rusternetes::certs {

extern const std::string_view kubeconfig_template;

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP writes a final NUL
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string fill_template(std::string_view text,
                          const std::vector<std::pair<std::string, std::string>>& values) {
  std::string out;
  for (;;) {
    const auto open = text.find("@{");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const auto close = text.find('}', open);
    RN_ASSERT(close != std::string_view::npos, "a hole of a template is not closed");
    const auto name = text.substr(open + 2, close - open - 2);
    const auto found =
        std::find_if(values.begin(), values.end(), [&](const auto& pair) { return pair.first == name; });
    RN_ASSERT(found != values.end(), "a hole of a template has no value");
    out += found->second;
    text.remove_prefix(close + 1);
  }
}

namespace {
// A YAML double-quoted scalar; names and addresses hold no control characters.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}
std::string extensions(const std::vector<std::string>& servers) {
  if (servers.empty()) return {};
  std::string list;
  for (const std::string& server : servers) list += (list.empty() ? "" : ", ") + quoted(server);
  return fmt::format(
      "    extensions:\n    - name: rusternetes.io/servers\n      extension:\n        servers: [{}]\n", list);
}
}  // namespace

std::string render_kubeconfig(const KubeconfigRequest& request) {
  return fill_template(kubeconfig_template, {{"cluster", quoted(request.cluster)},
                                             {"user", quoted(request.user)},
                                             {"context", quoted(request.context)},
                                             {"server", quoted(request.server)},
                                             {"extensions", extensions(request.further_servers)},
                                             {"authority", base64(request.authority_pem)},
                                             {"certificate", base64(request.client.certificate_pem)},
                                             {"key", base64(request.client.key_pem)}});
}

}  // namespace rusternetes::certs
