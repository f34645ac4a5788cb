"""The helper's part of the frame contract, played on the worker, for SSH hosts without Python: files over SFTP."""
