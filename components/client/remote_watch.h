#pragma once
// What a server sends, as objects: single ones and the frames of a watch, in protobuf or in JSON. Internal to
// this folder.

#include <memory>
#include <string_view>

#include "apimachinery/document.h"
#include "client/api_client.h"
#include "http/client.h"

namespace rusternetes::client {

// A kind's type, and for a run-time one what keeps it alive.
struct ObjectType {
  const apimachinery::Type* type;
  std::shared_ptr<const apimachinery::SchemaSet> owner;
};

// "k8s\0" and Unknown, or JSON for kinds that have no protobuf. Without kind and apiVersion.
Result<apimachinery::Value> decode_object(apimachinery::Arena& arena, std::string_view body,
                                          const apimachinery::Type& type);
// The Status object that a failed request was answered with, or a general one of the code.
Status decode_status(std::string_view body, int http_code);

std::unique_ptr<WatchStream> make_remote_watch(std::unique_ptr<http::ClientResponse> response,
                                               ObjectType type);

}  // namespace rusternetes::client
