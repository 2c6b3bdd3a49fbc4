"""What `nugetproxy doctor` checks: `facts` says what it looks at, `gathering` finds it out, `judgement` decides."""
