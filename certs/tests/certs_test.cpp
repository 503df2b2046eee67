#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "certs/certificate.h"
#include "certs/file.h"
#include "certs/kubeconfig.h"
#include "certs/pki.h"
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::certs;
namespace fs = std::filesystem;

namespace {

PkiOptions options_for_tests() {
  PkiOptions options;
  options.node_name = "node-1";
  options.node_addresses = {"10.213.0.2"};
  options.api_server_names = {"api.example.test", "10.213.0.2"};
  options.service_cidr = "10.96.0.0/16,fd00:10:96::/112";
  return options;
}

}  // namespace

TEST_CASE("a leaf verifies against its authority for its usage, names and time only") {
  for (const auto algorithm : {KeyAlgorithm::ecdsa_p256, KeyAlgorithm::rsa_2048}) {
    const KeyPair ca = make_authority({.common_name = "kubernetes", .algorithm = algorithm}, now).value();
    const KeyPair other = make_authority({.common_name = "kubernetes", .algorithm = algorithm}, now).value();
    const KeyPair leaf = issue(ca,
                               {.common_name = "kube-apiserver",
                                .dns_names = {"kubernetes.default"},
                                .ip_addresses = {"10.96.0.1", "fd00::1"},
                                .is_server = true,
                                .algorithm = algorithm},
                               now)
                             .value();
    CHECK(key_algorithm_of(leaf.key_pem).value() == algorithm);
    CHECK(chain_error(ca, leaf, X509_PURPOSE_SSL_SERVER, "kubernetes.default", nullptr, now) == X509_V_OK);
    CHECK(chain_error(ca, leaf, X509_PURPOSE_SSL_SERVER, nullptr, "10.96.0.1", now) == X509_V_OK);
    CHECK(chain_error(ca, leaf, X509_PURPOSE_SSL_SERVER, nullptr, "fd00::1", now) == X509_V_OK);
    CHECK(chain_error(ca, leaf, X509_PURPOSE_SSL_SERVER, "elsewhere", nullptr, now) ==
          X509_V_ERR_HOSTNAME_MISMATCH);
    CHECK(chain_error(ca, leaf, X509_PURPOSE_SSL_CLIENT, nullptr, nullptr, now) ==
          X509_V_ERR_INVALID_PURPOSE);
    CHECK(chain_error(other, leaf, X509_PURPOSE_SSL_SERVER, nullptr, nullptr, now) != X509_V_OK);
    CHECK(chain_error(ca, leaf, X509_PURPOSE_SSL_SERVER, nullptr, nullptr, now + leaf_validity) ==
          X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK(verify(leaf.certificate_pem, ca.certificate_pem, now).has_value());
    CHECK_FALSE(verify(leaf.certificate_pem, other.certificate_pem, now).has_value());
    CHECK_FALSE(verify(leaf.certificate_pem, ca.certificate_pem, now + leaf_validity).has_value());
    CHECK(key_matches(leaf).value());
    CHECK_FALSE(key_matches({leaf.certificate_pem, ca.key_pem}).value());
  }
}

TEST_CASE("a certificate is read back as it was asked for") {
  const KeyPair ca = make_authority({.common_name = "kubernetes"}, now).value();
  const CertificateInfo authority = inspect(ca.certificate_pem).value();
  CHECK(authority.is_authority);
  CHECK(authority.common_name == "kubernetes");
  CHECK(authority.not_after == now + authority_validity);
  const KeyPair leaf = issue(ca,
                             {.common_name = "system:node:n, with/odd=signs",
                              .organizations = {"system:nodes", "second"},
                              .dns_names = {"a", "b,DNS:evil"},
                              .is_client = true},
                             now)
                           .value();
  const CertificateInfo info = inspect(leaf.certificate_pem).value();
  CHECK(info.common_name == "system:node:n, with/odd=signs");
  CHECK(info.organizations == std::vector<std::string>{"system:nodes", "second"});
  CHECK(info.dns_names == std::vector<std::string>{"a", "b,DNS:evil"});
  CHECK(info.issuer_common_name == "kubernetes");
  CHECK_FALSE(info.is_authority);
  CHECK(info.is_client);
  CHECK_FALSE(info.is_server);
  CHECK(info.not_before == now - std::chrono::minutes(5));
  CHECK(info.not_after == now + leaf_validity);
  CHECK(info.expires_within(leaf_validity, now));
  CHECK_FALSE(info.expires_within(leaf_validity - std::chrono::seconds(1), now));
}

TEST_CASE("a leaf never outlives its authority") {
  const KeyPair ca = make_authority({.common_name = "short", .validity = std::chrono::hours(1)}, now).value();
  const KeyPair leaf = issue(ca, {.common_name = "x", .is_client = true}, now).value();
  CHECK(inspect(leaf.certificate_pem).value().not_after == now + std::chrono::hours(1));
}

TEST_CASE("serials are 128 bits, positive and do not repeat") {
  const KeyPair ca = make_authority({.common_name = "ca"}, now).value();
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const KeyPair leaf = issue(ca, {.common_name = "x"}, now).value();
    const std::string serial = inspect(leaf.certificate_pem).value().serial_hex;
    CHECK(serial.size() == 32);
    CHECK(serial[0] >= '4');
    CHECK(serial[0] <= '7');
    seen.insert(serial);
  }
  CHECK(seen.size() == 50);
}

TEST_CASE("bad input gets an error and not a crash") {
  const KeyPair ca = make_authority({.common_name = "ca"}, now).value();
  CHECK_FALSE(issue(ca, {.common_name = "x", .ip_addresses = {"10.0.0.256"}}, now).has_value());
  CHECK_FALSE(inspect("not pem").has_value());
  CHECK_FALSE(
      public_key_of("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n").has_value());
  CHECK_FALSE(issue({"", ""}, {.common_name = "x"}, now).has_value());
  CHECK_FALSE(parse_key_algorithm("dsa").has_value());
  CHECK(parse_key_algorithm("rsa").value() == KeyAlgorithm::rsa_2048);
}

TEST_CASE("the cluster's folder gets kubeadm's files, identities and modes") {
  TemporaryFolder folder;
  const fs::path dir = folder.path / "pki";
  const auto written = ensure_cluster_pki(dir, options_for_tests(), now).value();
  CHECK(written.size() == 2 * 2 + 2 + 9 * 2);
  CHECK(mode_of(dir) == 0700);
  for (const auto& entry : fs::directory_iterator(dir)) {
    const bool is_private = entry.path().extension() == ".key";
    CHECK(mode_of(entry.path()) == (is_private ? 0600u : 0644u));
  }
  auto info = [&](const char* file) { return inspect(read_text(dir / file).value()).value(); };
  CHECK(info("controller-manager.crt").common_name == "system:kube-controller-manager");
  CHECK(info("scheduler.crt").common_name == "system:kube-scheduler");
  CHECK(info("kubelet-client.crt").common_name == "system:node:node-1");
  CHECK(info("kubelet-client.crt").organizations == std::vector<std::string>{"system:nodes"});
  CHECK(info("kubelet.crt").dns_names == std::vector<std::string>{"node-1"});
  CHECK(info("kubelet.crt").ip_addresses == std::vector<std::string>{"10.213.0.2"});
  CHECK(info("admin.crt").organizations == std::vector<std::string>{"kubeadm:cluster-admins"});
  CHECK(info("apiserver-kubelet-client.crt").organizations ==
        std::vector<std::string>{"kubeadm:cluster-admins"});
  CHECK(info("front-proxy-client.crt").issuer_common_name == "front-proxy-ca");
  const CertificateInfo api = info("apiserver.crt");
  for (const char* name : {"kubernetes", "kubernetes.default", "kubernetes.default.svc",
                           "kubernetes.default.svc.cluster.local", "localhost", "node-1", "api.example.test"})
    CHECK(std::count(api.dns_names.begin(), api.dns_names.end(), name) == 1);
  for (const char* address : {"127.0.0.1", "::1", "10.96.0.1", "fd00:10:96::1", "10.213.0.2"})
    CHECK(std::count(api.ip_addresses.begin(), api.ip_addresses.end(), address) == 1);
  CHECK(public_key_of(read_text(dir / "sa.key").value()).value() == read_text(dir / "sa.pub").value());
  CHECK(read_text(dir / "sa.key").value().starts_with("-----BEGIN EC PRIVATE KEY-----"));
}

TEST_CASE("only the break-glass user is in system:masters") {
  for (const PkiLeaf& leaf : cluster_leaves(options_for_tests()).value())
    for (const std::string& group : leaf.request.organizations)
      if (group == "system:masters") CHECK(leaf.file == "super-admin");
}

TEST_CASE("a second run makes nothing, a missing leaf alone is made again") {
  TemporaryFolder folder;
  REQUIRE(ensure_cluster_pki(folder.path, options_for_tests(), now).has_value());
  const std::string ca = read_text(folder.path / "ca.crt").value();
  CHECK(ensure_cluster_pki(folder.path, options_for_tests(), now).value().empty());
  fs::remove(folder.path / "scheduler.crt");
  fs::remove(folder.path / "sa.pub");
  CHECK(ensure_cluster_pki(folder.path, options_for_tests(), now).value() ==
        std::vector<std::string>{"sa.pub", "scheduler.crt", "scheduler.key"});
  CHECK(read_text(folder.path / "ca.crt").value() == ca);
}

TEST_CASE("a leaf near its end, or without a name now asked for, is issued anew") {
  TemporaryFolder folder;
  PkiOptions options = options_for_tests();
  REQUIRE(ensure_cluster_pki(folder.path, options, now).has_value());
  options.api_server_names.emplace_back("192.0.2.7");
  CHECK(ensure_cluster_pki(folder.path, options, now).value() ==
        std::vector<std::string>{"apiserver.crt", "apiserver.key"});
  const auto later = now + leaf_validity - options.renew_before;
  CHECK(ensure_cluster_pki(folder.path, options, later).value().size() == 9 * 2);
  for (const Expiry& expiry : expiries(folder.path).value())
    if (!expiry.info.is_authority) CHECK(expiry.info.not_after == later + leaf_validity);
}

TEST_CASE("rotation gives one leaf a new key and leaves the rest") {
  TemporaryFolder folder;
  REQUIRE(ensure_cluster_pki(folder.path, options_for_tests(), now).has_value());
  const KeyPair before = read_pair(folder.path, "admin").value();
  const KeyPair other = read_pair(folder.path, "scheduler").value();
  REQUIRE(rotate_leaf(folder.path, options_for_tests(), "admin", now + std::chrono::hours(1)).has_value());
  const KeyPair after = read_pair(folder.path, "admin").value();
  CHECK(before.key_pem != after.key_pem);
  CHECK(key_matches(after).value());
  CHECK(read_pair(folder.path, "scheduler").value().key_pem == other.key_pem);
  CHECK(rotate_leaf(folder.path, options_for_tests(), "ca", now).error().is("NotFound"));
}

TEST_CASE("the certificate that ends first is listed first") {
  TemporaryFolder folder;
  REQUIRE(ensure_cluster_pki(folder.path, options_for_tests(), now).has_value());
  REQUIRE(rotate_leaf(folder.path, options_for_tests(), "admin", now - std::chrono::minutes(3)).has_value());
  const auto list = expiries(folder.path).value();
  CHECK(list.front().file == "admin.crt");
  CHECK(list.back().info.is_authority);
}

TEST_CASE("what is damaged is named and left as it is") {
  TemporaryFolder folder;
  REQUIRE(ensure_cluster_pki(folder.path, options_for_tests(), now).has_value());
  SECTION("an authority without its key") {
    fs::remove(folder.path / "ca.key");
    const auto result = ensure_cluster_pki(folder.path, options_for_tests(), now);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().message.find("ca.key") != std::string::npos);
    CHECK_FALSE(fs::exists(folder.path / "ca.key"));
  }
  SECTION("a leaf of another authority") {
    const KeyPair other = make_authority({.common_name = "kubernetes"}, now).value();
    const KeyPair leaf =
        issue(other, {.common_name = "system:kube-scheduler", .is_client = true}, now).value();
    std::ofstream(folder.path / "scheduler.crt") << leaf.certificate_pem;
    const auto result = ensure_cluster_pki(folder.path, options_for_tests(), now);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().message.find("scheduler.crt") != std::string::npos);
    CHECK(read_text(folder.path / "scheduler.crt").value() == leaf.certificate_pem);
  }
  SECTION("garbage in a certificate") {
    std::ofstream(folder.path / "admin.crt") << "garbage";
    CHECK_FALSE(ensure_cluster_pki(folder.path, options_for_tests(), now).has_value());
    CHECK(read_text(folder.path / "admin.crt").value() == "garbage");
  }
  SECTION("a renewal that was cut off between key and certificate is completed") {
    std::ofstream(folder.path / "admin.key") << generate_key(KeyAlgorithm::ecdsa_p256).value();
    CHECK(ensure_cluster_pki(folder.path, options_for_tests(), now).value() ==
          std::vector<std::string>{"admin.crt", "admin.key"});
    CHECK(key_matches(read_pair(folder.path, "admin").value()).value());
  }
}

TEST_CASE("an atomic write replaces the file, keeps its mode private and leaves no temporary") {
  TemporaryFolder folder;
  const fs::path path = folder.path / "secret";
  std::ofstream(folder.path / ".secret.new") << "left by a killed writer";
  REQUIRE(write_atomically(path, "one", private_mode).has_value());
  REQUIRE(write_atomically(path, "two", private_mode).has_value());
  CHECK(read_text(path).value() == "two");
  CHECK(mode_of(path) == 0600);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
  CHECK(read_text(folder.path / "absent").error().is("NotFound"));
  CHECK_FALSE(write_atomically(folder.path / "no" / "folder", "x", private_mode).has_value());
  CHECK_FALSE(read_text(path, 2).has_value());
}

TEST_CASE("a kubeconfig names its cluster and embeds what it needs") {
  CHECK(base64("") == "");
  CHECK(base64("a") == "YQ==");
  CHECK(base64("abc\n") == "YWJjCg==");
  const std::string text = render_kubeconfig({.cluster = "rusternetes-a",
                                              .user = "kubernetes-admin",
                                              .context = "rusternetes-a",
                                              .server = "https://127.0.0.1:6443",
                                              .authority_pem = "CA",
                                              .client = {"CRT", "KEY"}});
  CHECK(text.find("@{") == std::string::npos);
  CHECK(text.find("server: \"https://127.0.0.1:6443\"") != std::string::npos);
  CHECK(text.find("client-key-data: " + base64("KEY")) != std::string::npos);
  CHECK(text.find("current-context: \"rusternetes-a\"") != std::string::npos);
}
