#pragma once
// etcdserverpb.Auth, of an etcd where nobody enabled authentication. There are no users and no roles, and
// none can be made: who may connect is a matter of TLS.

#include "etcd/rpc.grpc.pb.h"
#include "rhino/errors.h"
#include "rhino/member.h"
#include "rhino/unary.h"

namespace rusternetes::rhino {

class AuthService final : public etcdserverpb::Auth::CallbackService {
 public:
  explicit AuthService(Member& member) : member_(member) {}

  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* AuthEnable(Context* context, const etcdserverpb::AuthEnableRequest*,
                      etcdserverpb::AuthEnableResponse*) override {
    return finish(context, errors::root_user_missing());
  }
  Reactor* AuthDisable(Context* context, const etcdserverpb::AuthDisableRequest*,
                       etcdserverpb::AuthDisableResponse* response) override {
    return answer(context, response);
  }
  Reactor* AuthStatus(Context* context, const etcdserverpb::AuthStatusRequest*,
                      etcdserverpb::AuthStatusResponse* response) override {
    response->set_authrevision(1);
    return answer(context, response);
  }
  Reactor* Authenticate(Context* context, const etcdserverpb::AuthenticateRequest*,
                        etcdserverpb::AuthenticateResponse*) override {
    return finish(context, errors::auth_not_enabled());
  }
  Reactor* UserList(Context* context, const etcdserverpb::AuthUserListRequest*,
                    etcdserverpb::AuthUserListResponse* response) override {
    return answer(context, response);
  }
  Reactor* RoleList(Context* context, const etcdserverpb::AuthRoleListRequest*,
                    etcdserverpb::AuthRoleListResponse* response) override {
    return answer(context, response);
  }
  Reactor* UserAdd(Context* context, const etcdserverpb::AuthUserAddRequest*,
                   etcdserverpb::AuthUserAddResponse*) override {
    return finish(context, errors::auth_not_enabled());
  }
  Reactor* RoleAdd(Context* context, const etcdserverpb::AuthRoleAddRequest*,
                   etcdserverpb::AuthRoleAddResponse*) override {
    return finish(context, errors::auth_not_enabled());
  }
  Reactor* UserGet(Context* context, const etcdserverpb::AuthUserGetRequest*,
                   etcdserverpb::AuthUserGetResponse*) override {
    return finish(context, errors::user_not_found());
  }
  Reactor* UserDelete(Context* context, const etcdserverpb::AuthUserDeleteRequest*,
                      etcdserverpb::AuthUserDeleteResponse*) override {
    return finish(context, errors::user_not_found());
  }
  Reactor* UserChangePassword(Context* context, const etcdserverpb::AuthUserChangePasswordRequest*,
                              etcdserverpb::AuthUserChangePasswordResponse*) override {
    return finish(context, errors::user_not_found());
  }
  Reactor* UserGrantRole(Context* context, const etcdserverpb::AuthUserGrantRoleRequest*,
                         etcdserverpb::AuthUserGrantRoleResponse*) override {
    return finish(context, errors::user_not_found());
  }
  Reactor* UserRevokeRole(Context* context, const etcdserverpb::AuthUserRevokeRoleRequest*,
                          etcdserverpb::AuthUserRevokeRoleResponse*) override {
    return finish(context, errors::user_not_found());
  }
  Reactor* RoleGet(Context* context, const etcdserverpb::AuthRoleGetRequest*,
                   etcdserverpb::AuthRoleGetResponse*) override {
    return finish(context, errors::role_not_found());
  }
  Reactor* RoleDelete(Context* context, const etcdserverpb::AuthRoleDeleteRequest*,
                      etcdserverpb::AuthRoleDeleteResponse*) override {
    return finish(context, errors::role_not_found());
  }
  Reactor* RoleGrantPermission(Context* context, const etcdserverpb::AuthRoleGrantPermissionRequest*,
                               etcdserverpb::AuthRoleGrantPermissionResponse*) override {
    return finish(context, errors::role_not_found());
  }
  Reactor* RoleRevokePermission(Context* context, const etcdserverpb::AuthRoleRevokePermissionRequest*,
                                etcdserverpb::AuthRoleRevokePermissionResponse*) override {
    return finish(context, errors::role_not_found());
  }

 private:
  template <class Response>
  Reactor* answer(Context* context, Response* response) {
    member_.fill(*response->mutable_header());
    return finish(context, grpc::Status::OK);
  }
  Member& member_;
};

}  // namespace rusternetes::rhino
