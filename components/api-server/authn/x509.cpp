#include "api-server/authn/x509.h"

#include <openssl/objects.h>

#include <array>
#include <functional>
#include <vector>

#include "api-server/authn/openssl.h"

namespace rusternetes::api_server {

namespace {

constexpr char uid_oid[] = "1.3.6.1.4.1.57683.2";

using ObjectPtr = std::unique_ptr<ASN1_OBJECT, OpensslDeleter<ASN1_OBJECT_free>>;

// As UTF-8, whatever string type the certificate uses.
std::string text_of(const ASN1_STRING* value) {
  unsigned char* utf8 = nullptr;
  const int length = ASN1_STRING_to_UTF8(&utf8, value);
  if (length < 0) return {};
  std::string out(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(length));
  OPENSSL_free(utf8);
  return out;
}

std::vector<std::string> attributes(const X509_NAME* name, const ASN1_OBJECT* type) {
  std::vector<std::string> out;
  for (int at = X509_NAME_get_index_by_OBJ(name, type, -1); at >= 0;
       at = X509_NAME_get_index_by_OBJ(name, type, at))
    out.push_back(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
  return out;
}

std::string hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

Result<std::optional<User>> read_user(std::string_view leaf_der) {
  const unsigned char* at = openssl_bytes(leaf_der);
  const X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(leaf_der.size())));
  if (!certificate) return openssl_error("parsing the client's certificate");
  const X509_NAME* subject = X509_get_subject_name(certificate.get());

  // Of several common names the last counts, as in Go.
  const std::vector<std::string> names = attributes(subject, OBJ_nid2obj(NID_commonName));
  if (names.empty() || names.back().empty()) return std::optional<User>{};

  User user;
  user.name = names.back();
  user.groups = attributes(subject, OBJ_nid2obj(NID_organizationName));
  user.extra[std::string(extra_credential_id)] = {"X509SHA256=" + hex(sha256(leaf_der))};

  const ObjectPtr uid_type(OBJ_txt2obj(uid_oid, 1));
  const std::vector<std::string> uids = attributes(subject, uid_type.get());
  if (uids.size() > 1) {
    std::string shown;
    for (const std::string& uid : uids) shown += (shown.empty() ? "" : " ") + uid;
    return internal_error("expected 1 UID, but found multiple: [" + shown + "]");
  }
  if (uids.size() == 1) {
    if (uids[0].empty()) return internal_error("UID cannot be an empty string");
    user.uid = uids[0];
  }
  return std::optional<User>(std::move(user));
}

// A certificate comes with every request of its connection, and parsing one takes eight times what a GET takes:
// each thread keeps those it saw last.
struct Known {
  std::string der;
  std::optional<Result<std::optional<User>>> user;
};
constexpr std::size_t kept_certificates = 64;  // a thread

}  // namespace

Result<std::optional<User>> user_from_certificate(std::string_view leaf_der) {
  thread_local std::array<Known, kept_certificates> known;
  Known& slot = known[std::hash<std::string_view>{}(leaf_der) % kept_certificates];
  if (!slot.user || slot.der != leaf_der) slot = Known{std::string(leaf_der), read_user(leaf_der)};
  return *slot.user;
}

}  // namespace rusternetes::api_server
