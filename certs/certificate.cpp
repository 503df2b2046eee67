#include "certs/certificate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <array>

#include "certs/openssl.h"

namespace rusternetes::certs {
namespace {

constexpr std::chrono::minutes clock_slack{5};

Result<> set_random_serial(X509* certificate) {
  // 128 random bits; the top one is cleared so that DER needs no extra byte, the next set so that it is never
  // zero.
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return openssl_error("random serial");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x3f) | 0x40);
  BigNumber number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
    return openssl_error("setting the serial");
  return {};
}

Result<> set_name(X509_NAME* name, const std::string& common_name,
                  const std::vector<std::string>& organizations) {
  auto add = [&](int nid, const std::string& value) {
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  for (const std::string& organization : organizations)
    if (!add(NID_organizationName, organization)) return openssl_error("organization " + organization);
  if (!add(NID_commonName, common_name)) return openssl_error("common name " + common_name);
  return {};
}

Result<> add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openssl_error(fmt::format("extension {}", OBJ_nid2sn(nid)));
  return {};
}

// Built from values and not from OpenSSL's configuration text: a name with a comma would be read there as
// two.
Result<> add_alternative_names(X509* certificate, const std::vector<std::string>& dns_names,
                               const std::vector<std::string>& ip_addresses) {
  if (dns_names.empty() && ip_addresses.empty()) return {};
  GeneralNames names(sk_GENERAL_NAME_new_null());
  auto add = [&](int type, ASN1_STRING* value, const void* data, std::size_t size) {
    ASN1_STRING_set(value, data, static_cast<int>(size));
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, type, value);
    sk_GENERAL_NAME_push(names.get(), name);
  };
  for (const std::string& dns : dns_names) add(GEN_DNS, ASN1_IA5STRING_new(), dns.data(), dns.size());
  for (const std::string& address : ip_addresses) {
    std::array<unsigned char, 16> bytes{};
    std::size_t size = 4;
    if (inet_pton(AF_INET, address.c_str(), bytes.data()) != 1) {
      size = 16;
      if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1)
        return Status(400, "BadRequest", fmt::format("\"{}\" is not an IP address", address));
    }
    add(GEN_IPADD, ASN1_OCTET_STRING_new(), bytes.data(), size);
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return openssl_error("subject alternative names");
  return {};
}

Result<> set_validity(X509* certificate, SystemTime from, SystemTime until) {
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), std::chrono::system_clock::to_time_t(from)) ==
          nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), std::chrono::system_clock::to_time_t(until)) == nullptr)
    return openssl_error("setting the validity");
  return {};
}

Result<std::string> sign_and_encode(X509* certificate, EVP_PKEY* issuer_key) {
  if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0) return openssl_error("signing a certificate");
  Bio bio = memory_bio();
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return openssl_error("encoding a certificate");
  return take_text(std::move(bio));
}

Result<Certificate> new_certificate(EVP_PKEY* subject_key) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(certificate.get(), subject_key) != 1)
    return openssl_error("making a certificate");
  RN_CHECK(set_random_serial(certificate.get()));
  return certificate;
}

Result<SystemTime> to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return openssl_error("reading a time");
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

std::vector<std::string> name_entries(const X509_NAME* name, int nid) {
  std::vector<std::string> out;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size >= 0) out.emplace_back(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
  }
  return out;
}

void read_alternative_names(X509* certificate, CertificateInfo& info) {
  GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    const auto* data = ASN1_STRING_get0_data(value);
    const int size = ASN1_STRING_length(value);
    if (type == GEN_DNS)
      info.dns_names.emplace_back(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    if (type == GEN_IPADD && (size == 4 || size == 16)) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text.data(), text.size());
      info.ip_addresses.emplace_back(text.data());
    }
  }
}

}  // namespace

Result<KeyPair> make_authority(const AuthorityRequest& request, SystemTime now) {
  KeyPair pair;
  RN_TRY(pair.key_pem, generate_key(request.algorithm));
  RN_TRY(Key key, read_private_key(pair.key_pem));
  RN_TRY(Certificate certificate, new_certificate(key.get()));
  X509* x = certificate.get();
  RN_CHECK(set_name(X509_get_subject_name(x), request.common_name, {}));
  if (X509_set_issuer_name(x, X509_get_subject_name(x)) != 1) return openssl_error("setting the issuer");
  RN_CHECK(set_validity(x, now - clock_slack, now + request.validity));
  RN_CHECK(add_extension(x, x, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign"));
  RN_CHECK(add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE"));
  RN_CHECK(add_extension(x, x, NID_subject_key_identifier, "hash"));
  RN_CHECK(add_alternative_names(x, {request.common_name}, {}));
  RN_TRY(pair.certificate_pem, sign_and_encode(x, key.get()));
  return pair;
}

Result<KeyPair> issue(const KeyPair& authority, const LeafRequest& request, SystemTime now) {
  RN_TRY(Certificate issuer, read_certificate(authority.certificate_pem));
  RN_TRY(Key issuer_key, read_private_key(authority.key_pem));
  RN_TRY(CertificateInfo issuer_info, inspect(authority.certificate_pem));
  KeyPair pair;
  RN_TRY(pair.key_pem, generate_key(request.algorithm));
  RN_TRY(Key key, read_private_key(pair.key_pem));
  RN_TRY(Certificate certificate, new_certificate(key.get()));
  X509* x = certificate.get();
  RN_CHECK(set_name(X509_get_subject_name(x), request.common_name, request.organizations));
  if (X509_set_issuer_name(x, X509_get_subject_name(issuer.get())) != 1)
    return openssl_error("setting the issuer");
  RN_CHECK(set_validity(x, std::max(now - clock_slack, issuer_info.not_before),
                        std::min(now + request.validity, issuer_info.not_after)));
  RN_CHECK(add_extension(x, issuer.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment"));
  std::string usage = request.is_server ? "serverAuth" : "";
  if (request.is_client) usage += usage.empty() ? "clientAuth" : ",clientAuth";
  if (!usage.empty()) RN_CHECK(add_extension(x, issuer.get(), NID_ext_key_usage, usage));
  RN_CHECK(add_extension(x, issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  RN_CHECK(add_extension(x, issuer.get(), NID_authority_key_identifier, "keyid:always"));
  RN_CHECK(add_alternative_names(x, request.dns_names, request.ip_addresses));
  RN_TRY(pair.certificate_pem, sign_and_encode(x, issuer_key.get()));
  return pair;
}

Result<std::string> cross_sign(const KeyPair& authority, std::string_view subject_pem) {
  RN_TRY(Certificate issuer, read_certificate(authority.certificate_pem));
  RN_TRY(Key issuer_key, read_private_key(authority.key_pem));
  RN_TRY(const CertificateInfo issuer_info, inspect(authority.certificate_pem));
  RN_TRY(Certificate subject, read_certificate(std::string(subject_pem)));
  RN_TRY(const CertificateInfo info, inspect(subject_pem));
  RN_TRY(Certificate certificate, new_certificate(X509_get0_pubkey(subject.get())));
  X509* x = certificate.get();
  if (X509_set_subject_name(x, X509_get_subject_name(subject.get())) != 1 ||
      X509_set_issuer_name(x, X509_get_subject_name(issuer.get())) != 1)
    return openssl_error("setting the names");
  RN_CHECK(set_validity(x, std::max(info.not_before, issuer_info.not_before),
                        std::min(info.not_after, issuer_info.not_after)));
  RN_CHECK(add_extension(x, issuer.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign"));
  RN_CHECK(add_extension(x, issuer.get(), NID_basic_constraints, "critical,CA:TRUE"));
  RN_CHECK(add_extension(x, issuer.get(), NID_subject_key_identifier, "hash"));
  RN_CHECK(add_extension(x, issuer.get(), NID_authority_key_identifier, "keyid:always"));
  return sign_and_encode(x, issuer_key.get());
}

Result<CertificateInfo> inspect(std::string_view certificate_pem) {
  RN_TRY(Certificate certificate, read_certificate(certificate_pem));
  X509* x = certificate.get();
  CertificateInfo info;
  auto first = [](std::vector<std::string> names) { return names.empty() ? std::string() : names.front(); };
  info.common_name = first(name_entries(X509_get_subject_name(x), NID_commonName));
  info.organizations = name_entries(X509_get_subject_name(x), NID_organizationName);
  info.issuer_common_name = first(name_entries(X509_get_issuer_name(x), NID_commonName));
  RN_TRY(info.not_before, to_time(X509_get0_notBefore(x)));
  RN_TRY(info.not_after, to_time(X509_get0_notAfter(x)));
  read_alternative_names(x, info);
  BigNumber serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), nullptr));
  char* hex = BN_bn2hex(serial.get());
  info.serial_hex = hex;
  OPENSSL_free(hex);
  info.is_authority = X509_check_ca(x) == 1;
  const auto usage = X509_get_extended_key_usage(x);
  const bool is_limited = (X509_get_extension_flags(x) & EXFLAG_XKUSAGE) != 0;
  info.is_server = is_limited && (usage & XKU_SSL_SERVER) != 0;
  info.is_client = is_limited && (usage & XKU_SSL_CLIENT) != 0;
  return info;
}

Result<bool> key_matches(const KeyPair& pair) {
  RN_TRY(Certificate certificate, read_certificate(pair.certificate_pem));
  RN_TRY(Key key, read_private_key(pair.key_pem));
  return EVP_PKEY_eq(X509_get0_pubkey(certificate.get()), key.get()) == 1;
}

Result<> verify(std::string_view leaf_pem, std::string_view authority_pem, SystemTime now) {
  RN_TRY(Certificate leaf, read_certificate(leaf_pem));
  std::vector<std::string> authorities = pem_blocks(authority_pem);
  if (authorities.empty()) authorities.emplace_back(authority_pem);  // its error is the reader's
  bool is_signed = false;
  for (const std::string& each : authorities) {
    RN_TRY(Certificate authority, read_certificate(each));
    is_signed = is_signed || (X509_check_issued(authority.get(), leaf.get()) == X509_V_OK &&
                              X509_verify(leaf.get(), X509_get0_pubkey(authority.get())) == 1);
  }
  (void)openssl_error("");  // empties the queue
  if (!is_signed) return internal_error("the certificate is not signed by the given authority");
  RN_TRY(CertificateInfo info, inspect(leaf_pem));
  if (now < info.not_before) return internal_error("the certificate is not valid yet");
  if (now >= info.not_after) return internal_error("the certificate has expired");
  return {};
}

std::vector<std::string> pem_blocks(std::string_view text) {
  constexpr std::string_view begin = "-----BEGIN ", end = "-----END ", dashes = "-----";
  std::vector<std::string> out;
  while (true) {
    const auto from = text.find(begin);
    if (from == std::string_view::npos) return out;
    text.remove_prefix(from);
    const auto last = text.find(end);
    if (last == std::string_view::npos) return out;
    auto until = text.find(dashes, last + end.size());
    if (until == std::string_view::npos) return out;
    until += dashes.size();
    out.emplace_back(text.substr(0, until));
    out.back() += '\n';
    text.remove_prefix(until);
  }
}

}  // namespace rusternetes::certs
