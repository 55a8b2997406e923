-- Sends the requests of a file in turn. Each line has a method, a path, an access token and a body, separated by tabs.
-- Arguments: the file; "count" to count the statuses of answers. NNNNNN in a body becomes a new number in each request.

local threads = {}

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

local function format(method, path, token, body)
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    if body ~= "" then headers["Content-Type"] = "application/json" end
    return wrk.format(method, path, headers, body ~= "" and body or nil)
end

function init(arguments)
    local requests, fresh = {}, nil
    for line in io.lines(arguments[1]) do
        local method, path, token, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
        if body:find("NNNNNN") then
            fresh = { method, path, token, body }
        else
            table.insert(requests, format(method, path, token, body))
        end
    end
    if fresh then
        local count, start = 0, os.time()
        request = function()
            count = count + 1
            local n = string.format("%d-%d-%d", start, number, count)
            return format(fresh[1], fresh[2], fresh[3], (fresh[4]:gsub("NNNNNN", n)))
        end
    else
        -- Each thread begins at a different request.
        local at = number * math.floor(#requests / 2)
        request = function()
            at = at % #requests + 1
            return requests[at]
        end
    end
    statuses = ""
    if arguments[2] == "count" then
        local counts = {}
        response = function(status)
            counts[status] = (counts[status] or 0) + 1
            local words = {}
            for code, n in pairs(counts) do table.insert(words, string.format('"%d": %d', code, n)) end
            statuses = table.concat(words, ", ")
        end
    end
end

function done(summary)
    local counts = {}
    for _, thread in ipairs(threads) do table.insert(counts, "{" .. thread:get("statuses") .. "}") end
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "seconds": %.6f, "broken": %d, "refused": %d, "statuses": [%s]}\n',
        summary.requests, summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.timeout,
        errors.status, table.concat(counts, ", ")))
end
