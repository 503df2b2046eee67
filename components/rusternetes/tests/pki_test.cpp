// What the process reads of its folder of certificates while authorities are replaced.
#include "rusternetes/pki.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "api-server/authn/jwt.h"
#include "base/clock.h"
#include "certs/pki.h"
#include "certs/rotation.h"
#include "http/tls.h"

using namespace rusternetes;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "pki-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
};

std::size_t keys_in(const std::string& pem) {
  const auto keys = api_server::JwtKey::all_from_pem(pem);
  REQUIRE(keys);
  return keys->size();
}

}  // namespace

TEST_CASE("the process trusts all that is trusted while authorities and the key of tokens are replaced") {
  Folder folder;
  ProcessOptions options;
  options.data_dir = folder.path;
  options.pki_dir = folder.path / "pki";
  options.node_name = "a";
  options.node_address = "10.213.0.2";
  options.service_cluster_ip_range = "10.96.0.0/16";
  const auto load = [&] {
    auto pki = load_pki(options);
    REQUIRE(pki);
    // What it serves with stands, whatever the phase.
    http::ServerTls server{pki->api_server_certificate_pem, pki->api_server_key_pem, pki->ca_pem};
    CHECK(http::make_server_context(server));
    return *std::move(pki);
  };
  const ProcessPki first = load();
  CHECK(keys_in(first.service_account_public_pem) == 1);
  const std::string old_id = api_server::JwtKey::from_pem(first.service_account_key_pem)->id();

  const certs::PkiOptions pki{.node_name = "a"};
  const SystemTime now = Clock::system().now();
  for (const char* subject : {"ca", "sa"}) REQUIRE(certs::trust_new(options.pki_dir, pki, subject, now));
  ProcessPki between = load();
  CHECK(keys_in(between.service_account_public_pem) == 2);
  CHECK(between.service_account_key_pem == first.service_account_key_pem);
  CHECK(certs::pem_blocks(between.ca_pem).size() == 2);
  CHECK(between.api_server_certificate_pem == first.api_server_certificate_pem);

  for (const char* subject : {"ca", "sa"}) REQUIRE(certs::sign_with_new(options.pki_dir, pki, subject, now));
  between = load();
  CHECK(between.service_account_key_pem != first.service_account_key_pem);
  const auto keys = api_server::JwtKey::all_from_pem(between.service_account_public_pem);
  REQUIRE(keys->size() == 2);
  CHECK((*keys)[1].id() == old_id);
  CHECK(certs::pem_blocks(between.ca_pem).size() == 2);
  // Behind the leaf: the new authority, as the old one vouches for it.
  CHECK(certs::pem_blocks(between.api_server_certificate_pem).size() == 2);

  for (const char* subject : {"ca", "sa"}) REQUIRE(certs::drop_old(options.pki_dir, pki, subject));
  between = load();
  CHECK(keys_in(between.service_account_public_pem) == 1);
  CHECK(certs::pem_blocks(between.ca_pem).size() == 1);
  CHECK(certs::pem_blocks(between.api_server_certificate_pem).size() == 1);
}
