def report(sweeps, directory):
    print("report", sweeps)
