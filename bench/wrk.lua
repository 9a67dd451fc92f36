-- One argument: how many requests to send at a time. The result is one line of JSON.
init = function(args)
	local request = wrk.format()
	local depth = tonumber(args[1])
	wrk.format = function()
		return request:rep(depth)
	end
end

done = function(summary, latency)
	local e = summary.errors
	io.write(string.format(
		'{"requests": %d, "seconds": %.6f, "p99_ms": %.3f, "errors": %d}\n', summary.requests,
		summary.duration / 1e6, latency:percentile(99) / 1e3,
		e.connect + e.read + e.write + e.status + e.timeout))
end
