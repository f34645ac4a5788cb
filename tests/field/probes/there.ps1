Tell @{ there = @($Values.folders | Where-Object { [IO.Directory]::Exists($_) }).Count }
