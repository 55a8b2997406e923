-- Asks auth-service who sends a request. Leaves the status in txn.auth_status. An error in this file leaves no status, and
-- haproxy.cfg then answers 503.
local url = "http://127.0.0.1:8081/forward-auth"

core.register_action("forward_auth", {"http-req"}, function(txn)
    -- Only the token is sent. All Authorization headers go, so that auth-service refuses more than one.
    local tokens = {}
    for _, token in pairs(txn.http:req_get_headers()["authorization"] or {}) do table.insert(tokens, token) end
    local answer = core.httpclient():get({url = url, headers = {authorization = tokens}, timeout = 10000})
    local header = function(name) return answer.headers and answer.headers[name] and answer.headers[name][0] or "" end
    txn:set_var("txn.user_id", header("x-user-id"))
    txn:set_var("txn.user_email", header("x-user-email"))
    txn:set_var("txn.session_id", header("x-session-id"))
    txn:set_var("txn.challenge", header("www-authenticate"))
    txn:set_var("txn.auth_body", answer.body or "")
    txn:set_var("txn.auth_status", answer.status or 0)
end)
