#include "api-proxy/tls_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"
#include "certs/certificate.h"
#include "certs/file.h"

namespace rusternetes::api_proxy {

namespace {

Status wrong(std::string message) { return {400, "BadRequest", std::move(message)}; }

Result<std::string> file(const char* flag, const std::string& path) {
  auto text = certs::read_text(path);
  if (!text) return wrong(fmt::format("--{}: {}", flag, text.error().message));
  return text;
}

Result<http::ClientTls> read_tls(const TlsFiles::Paths& paths) {
  http::ClientTls tls;
  RN_TRY(tls.ca_pem, file("certificate-authority", paths.authority));
  if (!certs::inspect(tls.ca_pem))
    return wrong(
        fmt::format("--certificate-authority: {} holds no certificate in PEM form", paths.authority));
  if (paths.certificate.empty()) return tls;
  RN_TRY(tls.certificate_chain_pem, file("client-certificate", paths.certificate));
  RN_TRY(tls.private_key_pem, file("client-key", paths.key));
  const auto is_pair = certs::key_matches({tls.certificate_chain_pem, tls.private_key_pem});
  if (!is_pair) return wrong(fmt::format("--client-certificate, --client-key: {}", is_pair.error().message));
  if (!*is_pair)
    return wrong(fmt::format("--client-key: {} is not the key of the certificate in {}", paths.key,
                             paths.certificate));
  return tls;
}

}  // namespace

TlsFiles::Stamps TlsFiles::stamps() const {
  Stamps out{};
  const std::array<const std::string*, 3> files{&paths_.authority, &paths_.certificate, &paths_.key};
  for (std::size_t i = 0; i < files.size(); ++i) {
    struct stat found {};
    if (files[i]->empty() || ::stat(files[i]->c_str(), &found) != 0) continue;
    out[i] = {static_cast<std::int64_t>(found.st_ino), found.st_size, found.st_mtim.tv_sec,
              found.st_mtim.tv_nsec};
  }
  return out;
}

Result<TlsFiles> TlsFiles::read(Paths paths) {
  TlsFiles out(std::move(paths));
  out.seen_ = out.stamps();  // before: what changes meanwhile is read again
  RN_TRY(out.tls_, read_tls(out.paths_));
  return out;
}

const http::ClientTls& TlsFiles::current() {
  const Stamps now = stamps();
  if (now == seen_) return tls_;
  seen_ = now;
  auto fresh = read_tls(paths_);
  if (fresh) {
    tls_ = *std::move(fresh);
    log::info("api-proxy", "the certificates of probes have changed and were read anew");
  } else {
    log::warn("api-proxy", "the certificates of probes stay as they were: {}", fresh.error().message);
  }
  return tls_;
}

}  // namespace rusternetes::api_proxy
