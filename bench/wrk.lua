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
		'{"requests": %d, "seconds": %.6f, "bytes": %d, "p50_ms": %.3f, "p99_ms": %.3f, "p999_ms": %.3f, '
			.. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
		summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3,
		latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, e.connect, e.read, e.write, e.status, e.timeout))
end
