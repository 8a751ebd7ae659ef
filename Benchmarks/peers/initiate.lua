-- For wrk: each request asks for three files that no other request asks for.
local files = 100000

request = function()
  files = files + 3
  return wrk.format("POST", nil, nil, string.format('{"file_ids":[%d,%d,%d]}', files, files + 1, files + 2))
end

wrk.headers["content-type"] = "application/json"
